// How fast one container may use built-in handlers that have a limit.

#ifndef SALLYPORT_AGENT_PROXY_BUILTIN_RATES_H_
#define SALLYPORT_AGENT_PROXY_BUILTIN_RATES_H_

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "agent/proxy/budget.h"
#include "common/base/mutex.h"
#include "common/builtin/builtin_spec.h"

namespace sallyport::proxy {

// A bucket for each handler, of one container on all workers. Thread-safe.
class BuiltinRates {
 public:
  // Takes one request. Not nullopt: it is one too many, and this is when there is room again. A
  // handler whose rate was changed begins with a full bucket.
  std::optional<std::chrono::nanoseconds> Take(const std::string& handler,
                                               const BuiltinSpec::Rate& rate,
                                               RateLimiter::Time now);

 private:
  struct Bucket {
    BuiltinSpec::Rate rate;
    std::shared_ptr<RateLimiter> limiter;
  };

  std::shared_ptr<RateLimiter> LimiterOf(const std::string& handler, const BuiltinSpec::Rate& rate);

  Mutex mutex_;
  absl::flat_hash_map<std::string, Bucket> buckets_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_BUILTIN_RATES_H_
