// Answers of the operator's resolvers that one container may be given again.

#ifndef SALLYPORT_AGENT_PROXY_DNS_CACHE_H_
#define SALLYPORT_AGENT_PROXY_DNS_CACHE_H_

#include <list>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "agent/proxy/dns/upstream_answer.h"
#include "agent/proxy/stream.h"
#include "common/base/mutex.h"
#include "common/net/host.h"

namespace sallyport::proxy {

// Of one container, on all workers, so that what it looked up is known when it connects.
// Thread-safe. Knows nothing of policy: whoever uses an answer decides anew.
class DnsCache {
 public:
  // The one used longest ago goes when there are more answers or bytes.
  DnsCache(size_t max_answers, size_t max_bytes)
      : max_answers_(max_answers), max_bytes_(max_bytes) {}

  // Its TTLs are what is left of them. NXDOMAIN answers every type of a name (RFC 8020).
  std::optional<UpstreamAnswer> Find(const Host& name, DnsType type, SteadyTime now);
  // Keeps it for its lifetime, if it has one.
  void Store(const Host& name, DnsType type, const UpstreamAnswer& answer, SteadyTime now);
  size_t size() const;

 private:
  using Key = std::pair<Host, DnsType>;
  struct Entry {
    Key key;
    UpstreamAnswer answer;
    SteadyTime stored;
  };
  using Entries = std::list<Entry>;

  std::optional<UpstreamAnswer> FindEntry(const Key& key, SteadyTime now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Erase(Entries::iterator entry) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t max_answers_;
  const size_t max_bytes_;
  mutable Mutex mutex_;
  Entries entries_ ABSL_GUARDED_BY(mutex_);  // The one used last in front.
  absl::flat_hash_map<Key, Entries::iterator> index_ ABSL_GUARDED_BY(mutex_);
  size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_DNS_CACHE_H_
