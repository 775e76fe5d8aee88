#include "agent/proxy/budget.h"

#include <algorithm>
#include <utility>

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

int64_t Nanoseconds(TokenBucket::Time time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

}  // namespace

TokenBucket::TokenBucket(int64_t per_second, int64_t burst)
    : interval_ns_(kSecondNs / per_second), burst_ns_((burst - 1) * interval_ns_) {}

TokenBucket::Duration TokenBucket::Wait(Time now) const {
  const int64_t due = due_ns_.load(std::memory_order_relaxed);
  return Duration(std::max<int64_t>(0, due - burst_ns_ - Nanoseconds(now)));
}

std::optional<TokenBucket::Duration> TokenBucket::Take(Time now, Duration longest) {
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
        std::make_unique<TokenBucket>(per_second, BurstOf(info.limit, per_second));
  }
}

ContainerBudget::Token& ContainerBudget::Token::operator=(Token&& other) noexcept {
  Release();
  held_ = std::exchange(other.held_, nullptr);
  amount_ = other.amount_;
  return *this;
}

void ContainerBudget::Token::Release() {
  if (held_ != nullptr) held_->fetch_sub(amount_, std::memory_order_relaxed);
  held_ = nullptr;
}

ContainerBudget::Token ContainerBudget::Hold(Limit limit, int64_t amount) {
  std::atomic<int64_t>& held = held_[static_cast<size_t>(limit)];
  if (held.fetch_add(amount, std::memory_order_relaxed) + amount <= limits_[limit])
    return Token(&held, amount);
  held.fetch_sub(amount, std::memory_order_relaxed);
  return Token();
}

TokenBucket& ContainerBudget::rate(Limit limit) { return *rates_[static_cast<size_t>(limit)]; }

void ContainerBudget::CountExceeded(Limit limit, uint64_t times) {
  exceeded_[static_cast<size_t>(limit)].fetch_add(times, std::memory_order_relaxed);
}

int64_t ContainerBudget::held(Limit limit) const {
  return held_[static_cast<size_t>(limit)].load(std::memory_order_relaxed);
}

uint64_t ContainerBudget::exceeded(Limit limit) const {
  return exceeded_[static_cast<size_t>(limit)].load(std::memory_order_relaxed);
}

}  // namespace sallyport::proxy
