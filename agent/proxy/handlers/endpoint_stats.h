// How handlers' endpoints do, for the operator: counted by all workers and containers together.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_ENDPOINT_STATS_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_ENDPOINT_STATS_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "agent/proxy/handlers/checked_health.h"
#include "common/base/mutex.h"
#include "proto/sallyport/v1/agent.pb.h"

namespace sallyport::proxy {

// Of one endpoint of one handler. Thread-safe, the numbers without locks: they decide nothing but
// which of several endpoints is asked: what one container's calls do to them costs no other a call.
class EndpointStats {
 public:
  void Begin() {
    calls_.fetch_add(1, std::memory_order_relaxed);
    in_flight_.fetch_add(1, std::memory_order_relaxed);
  }
  void End() { in_flight_.fetch_sub(1, std::memory_order_relaxed); }
  void Answered(std::chrono::microseconds after);
  void Failed();
  void Ejected() { ejections_.fetch_add(1, std::memory_order_relaxed); }

  // What health checks say; of the operator's wish.
  CheckedHealth& checked() { return checked_; }
  const CheckedHealth& checked() const { return checked_; }

  int64_t in_flight() const { return in_flight_.load(std::memory_order_relaxed); }
  uint64_t calls() const { return calls_.load(std::memory_order_relaxed); }
  // All fields but `handler` and `endpoint`.
  void FillIn(v1::UsageResponse::Endpoint* usage) const;

 private:
  // Times in buckets of an eighth of a power of two, up to 2^32 µs.
  static constexpr size_t kBuckets = 31 * 8;
  static size_t BucketOf(uint64_t microseconds);
  // The longest time that the bucket counts.
  static uint64_t EndOf(size_t bucket);
  uint64_t Percentile(int percent) const;

  CheckedHealth checked_;
  std::atomic<int64_t> in_flight_{0};
  std::atomic<uint64_t> calls_{0};
  std::atomic<uint64_t> failures_{0};
  std::atomic<uint64_t> failures_in_a_row_{0};
  std::atomic<uint64_t> ejections_{0};
  std::array<std::atomic<uint64_t>, kBuckets> latencies_{};
};

// Thread-safe.
class HandlerStats {
 public:
  std::shared_ptr<EndpointStats> Of(const std::string& handler, const std::string& endpoint);
  // Forgets the endpoints for which it is false.
  void Keep(absl::FunctionRef<bool(const std::string& handler, const std::string& endpoint)> kept);
  // Those that were called or are checked.
  void FillIn(v1::UsageResponse* usage) const;

 private:
  mutable Mutex mutex_;
  std::map<std::pair<std::string, std::string>, std::shared_ptr<EndpointStats>> stats_
      ABSL_GUARDED_BY(mutex_);
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_ENDPOINT_STATS_H_
