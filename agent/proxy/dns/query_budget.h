// How much a container may ask.

#ifndef SALLYPORT_AGENT_PROXY_DNS_QUERY_BUDGET_H_
#define SALLYPORT_AGENT_PROXY_DNS_QUERY_BUDGET_H_

#include <string>
#include <string_view>

#include "agent/proxy/dns/dns_limits.h"
#include "agent/proxy/dns/token_bucket.h"
#include "agent/proxy/tls/lru_map.h"
#include "common/base/mutex.h"
#include "common/net/host.h"

namespace sallyport::proxy {

// Of one container, on all workers. Thread-safe.
class QueryBudget {
 public:
  // At most so many are remembered, the ones used last.
  static constexpr size_t kMaxNames = 2048;
  static constexpr size_t kMaxRegisteredNames = 1024;

  QueryBudget(const DnsLimits& limits, SteadyTime now);

  // Whether a query of the container is answered at all.
  bool AdmitQuery(SteadyTime now);

  // Whether a question may go to the operator's resolvers. kTunnel: there are too many new names
  // below the same registered name, or below all, to be anything but data. Names that were admitted
  // stay admitted while they are remembered.
  enum class Upstream { kAdmitted, kOverloaded, kTunnel };
  Upstream AdmitUpstream(const Host& name, SteadyTime now);

 private:
  // What a new name costs. False: there is not enough, and nothing is taken.
  bool TakeNameBytes(std::string_view name, SteadyTime now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Valid until the next call.
  TokenBucket* NameBytesLeft(const std::string& registered, SteadyTime now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const DnsLimits limits_;
  Mutex mutex_;
  TokenBucket queries_ ABSL_GUARDED_BY(mutex_);
  TokenBucket upstream_ ABSL_GUARDED_BY(mutex_);
  LruMap<char> names_ ABSL_GUARDED_BY(mutex_){kMaxNames};  // Keys only.
  // Bytes of new names left, by registered name.
  LruMap<TokenBucket> name_bytes_ ABSL_GUARDED_BY(mutex_){kMaxRegisteredNames};
  // The same below all of them, without the last two labels of each.
  TokenBucket all_name_bytes_ ABSL_GUARDED_BY(mutex_);
};

// The part of a name that somebody registered, as far as its looks tell: the last two labels; three
// if those two look like the registry's of a country ("co.uk", "com.au").
std::string_view LikelyRegisteredName(std::string_view name);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_DNS_QUERY_BUDGET_H_
