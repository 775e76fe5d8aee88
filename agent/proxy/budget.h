// What one container uses at this moment, held against what it may.

#ifndef SALLYPORT_AGENT_PROXY_BUDGET_H_
#define SALLYPORT_AGENT_PROXY_BUDGET_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "agent/proxy/gauge.h"
#include "agent/proxy/limits.h"
#include "common/base/mutex.h"

namespace sallyport::proxy {

// So many a second, and those of one second at once after a pause. Thread-safe, without locks: the
// generic cell rate algorithm (ITU-T I.371), whose state is one time.
class RateLimiter {
 public:
  using Duration = std::chrono::nanoseconds;
  using Time = std::chrono::steady_clock::time_point;

  // `burst`: how many may come at once; at least one.
  RateLimiter(int64_t per_second, int64_t burst);
  // One in each `interval`.
  RateLimiter(Duration interval, int64_t burst);

  // How long until there is one; zero: there is one now.
  Duration Wait(Time now) const;
  // Takes one that is there within `longest`, and returns when; whoever comes later waits longer.
  // nullopt: it would be later, and nothing was taken.
  std::optional<Duration> Take(Time now, Duration longest = Duration::zero());

 private:
  const int64_t interval_ns_;
  const int64_t burst_ns_;
  std::atomic<int64_t> due_ns_{0};  // When a bucket that is let alone is full again.
};

// Shared by the workers that serve the container: an atomic number a limit, so that the limit holds
// over all workers and nobody waits for anybody. Thread-safe. Outlives its tokens.
class ContainerBudget {
 public:
  explicit ContainerBudget(const ContainerLimits& limits);

  const ContainerLimits& limits() const { return limits_; }

  // REQUIRES: `limit` counts what is there at once.
  Gauge::Token Hold(Limit limit, int64_t amount = 1);
  // REQUIRES: `limit` is a rate.
  RateLimiter& rate(Limit limit);

  // Counts that somebody was refused, or had to wait, because of it.
  void CountExceeded(Limit limit, uint64_t times = 1);

  // Calls in flight to one handler, whose own limit it is. Takes a lock; stays where it is.
  Gauge& HandlerCalls(const std::string& handler);

  // Audit records that were left out, until one says how many they were.
  void CountSuppressed() { suppressed_.fetch_add(1, std::memory_order_relaxed); }
  uint64_t TakeSuppressed();

  int64_t held(Limit limit) const;
  uint64_t exceeded(Limit limit) const;

 private:
  const ContainerLimits limits_;
  std::array<Gauge, kLimitCount> held_;
  std::array<std::atomic<uint64_t>, kLimitCount> exceeded_{};
  std::atomic<uint64_t> suppressed_{0};
  Mutex handler_calls_mutex_;
  std::map<std::string, Gauge> handler_calls_ ABSL_GUARDED_BY(handler_calls_mutex_);
  std::array<std::unique_ptr<RateLimiter>, kLimitCount> rates_;  // Null: it is no rate.
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_BUDGET_H_
