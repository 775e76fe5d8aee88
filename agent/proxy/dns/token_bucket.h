// Rates that allow for bursts.

#ifndef SALLYPORT_AGENT_PROXY_DNS_TOKEN_BUCKET_H_
#define SALLYPORT_AGENT_PROXY_DNS_TOKEN_BUCKET_H_

#include <algorithm>

#include "agent/proxy/stream.h"

namespace sallyport::proxy {

// Full at first. Not thread-safe.
class TokenBucket {
 public:
  TokenBucket(double per_second, double capacity, SteadyTime now)
      : per_second_(per_second), capacity_(capacity), tokens_(capacity), filled_(now) {}

  // False: there are fewer, and none is taken.
  bool Take(double tokens, SteadyTime now) {
    const std::chrono::duration<double> passed = now - filled_;
    tokens_ = std::min(capacity_, tokens_ + std::max(0.0, passed.count()) * per_second_);
    filled_ = now;
    if (tokens_ < tokens) return false;
    tokens_ -= tokens;
    return true;
  }

 private:
  double per_second_;
  double capacity_;
  double tokens_;
  SteadyTime filled_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_DNS_TOKEN_BUCKET_H_
