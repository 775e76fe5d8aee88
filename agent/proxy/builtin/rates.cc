#include "agent/proxy/builtin/rates.h"

#include <algorithm>

namespace sallyport::proxy {

std::shared_ptr<RateLimiter> BuiltinRates::LimiterOf(const std::string& handler,
                                                     const BuiltinSpec::Rate& rate) {
  MutexLock lock(&mutex_);
  Bucket& bucket = buckets_[handler];
  if (bucket.limiter == nullptr || bucket.rate != rate) {
    const std::chrono::duration<double> interval(1.0 / rate.per_second);
    bucket = {rate, std::make_shared<RateLimiter>(
                        std::chrono::duration_cast<RateLimiter::Duration>(interval), rate.burst)};
  }
  return bucket.limiter;
}

std::optional<std::chrono::nanoseconds> BuiltinRates::Take(const std::string& handler,
                                                           const BuiltinSpec::Rate& rate,
                                                           RateLimiter::Time now) {
  const std::shared_ptr<RateLimiter> limiter = LimiterOf(handler, rate);
  if (limiter->Take(now).has_value()) return std::nullopt;
  // Another worker may have found room in between: then it is as good as now.
  return std::max(limiter->Wait(now), RateLimiter::Duration(1));
}

}  // namespace sallyport::proxy
