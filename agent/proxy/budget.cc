#include "agent/proxy/budget.h"

#include <algorithm>
#include <string_view>

namespace sallyport::proxy {
namespace {

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr std::string_view kRateSuffix = "_per_second";
// Refusals come in swarms; most of a swarm is worth seeing.
constexpr int64_t kRefusalRecordsBurst = 1'000;

int64_t BurstOf(Limit limit, int64_t per_second) {
  return limit == Limit::kRefusalRecordsPerSecond ? std::max(per_second, kRefusalRecordsBurst)
                                                  : per_second;
}

int64_t Nanoseconds(RateLimiter::Time time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

}  // namespace

RateLimiter::RateLimiter(int64_t per_second, int64_t burst)
    : RateLimiter(Duration(kSecondNs / per_second), burst) {}

RateLimiter::RateLimiter(Duration interval, int64_t burst)
    : interval_ns_(interval.count()), burst_ns_((burst - 1) * interval_ns_) {}

RateLimiter::Duration RateLimiter::Wait(Time now) const {
  const int64_t due = due_ns_.load(std::memory_order_relaxed);
  return Duration(std::max<int64_t>(0, due - burst_ns_ - Nanoseconds(now)));
}

std::optional<RateLimiter::Duration> RateLimiter::Take(Time now, Duration longest) {
  const int64_t now_ns = Nanoseconds(now);
  int64_t due = due_ns_.load(std::memory_order_relaxed);
  while (true) {
    const int64_t wait = std::max<int64_t>(0, due - burst_ns_ - now_ns);
    if (wait > longest.count()) return std::nullopt;
    const int64_t next = std::max(due, now_ns) + interval_ns_;
    if (due_ns_.compare_exchange_weak(due, next, std::memory_order_relaxed)) return Duration(wait);
  }
}

ContainerBudget::ContainerBudget(const ContainerLimits& limits) : limits_(limits) {
  for (const LimitInfo& info : AllLimits()) {
    if (!info.name.ends_with(kRateSuffix)) continue;
    const int64_t per_second = limits[info.limit];
    rates_[static_cast<size_t>(info.limit)] =
        std::make_unique<RateLimiter>(per_second, BurstOf(info.limit, per_second));
  }
}

Gauge::Token ContainerBudget::Hold(Limit limit, int64_t amount) {
  return held_[static_cast<size_t>(limit)].Hold(amount, limits_[limit]);
}

Gauge& ContainerBudget::HandlerCalls(const std::string& handler) {
  MutexLock lock(&handler_calls_mutex_);
  return handler_calls_[handler];
}

uint64_t ContainerBudget::TakeSuppressed() {
  // Most often there are none, and the number's cache line stays shared.
  if (suppressed_.load(std::memory_order_relaxed) == 0) return 0;
  return suppressed_.exchange(0, std::memory_order_relaxed);
}

RateLimiter& ContainerBudget::rate(Limit limit) { return *rates_[static_cast<size_t>(limit)]; }

void ContainerBudget::CountExceeded(Limit limit, uint64_t times) {
  exceeded_[static_cast<size_t>(limit)].fetch_add(times, std::memory_order_relaxed);
}

int64_t ContainerBudget::held(Limit limit) const {
  return held_[static_cast<size_t>(limit)].held();
}

uint64_t ContainerBudget::exceeded(Limit limit) const {
  return exceeded_[static_cast<size_t>(limit)].load(std::memory_order_relaxed);
}

}  // namespace sallyport::proxy
