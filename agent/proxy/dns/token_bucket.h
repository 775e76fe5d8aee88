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
    tokens_ = Left(now);
    filled_ = std::max(filled_, now);
    if (tokens_ < tokens) return false;
    tokens_ -= tokens;
    return true;
  }
  bool Has(double tokens, SteadyTime now) const { return Left(now) >= tokens; }
  bool IsFull(SteadyTime now) const { return Has(capacity_, now); }

 private:
  double Left(SteadyTime now) const {
    const std::chrono::duration<double> passed = now - filled_;
    return std::min(capacity_, tokens_ + std::max(0.0, passed.count()) * per_second_);
  }

  double per_second_;
  double capacity_;
  double tokens_;
  SteadyTime filled_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_DNS_TOKEN_BUCKET_H_
