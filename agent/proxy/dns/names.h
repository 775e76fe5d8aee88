// Which name an address stands for in one container.

#ifndef SALLYPORT_AGENT_PROXY_DNS_NAMES_H_
#define SALLYPORT_AGENT_PROXY_DNS_NAMES_H_

#include <memory>
#include <optional>

#include "common/base/mutex.h"
#include "common/net/address.h"
#include "common/net/host.h"

namespace sallyport::proxy {

// Whether the address is in 198.18.0.0/15, which we give out as placeholders: never to be dialled,
// and never taken from a resolver.
bool IsPlaceholderAddress(const IpAddress& address);

// Which name our DNS gave an address out for, and the placeholders. Thread-safe: DNS is served by
// one worker, connections are by all. At most 4,096 names and 8,192 addresses a container (LRU);
// placeholders come from 198.18.0.0/15 and are stable while kept.
class DnsNames {
 public:
  static constexpr size_t kMaxPlaceholders = 4096;
  static constexpr size_t kMaxAddresses = 8192;

  DnsNames();
  ~DnsNames();
  // The placeholder of a name, made if there is none.
  IpAddress Placeholder(const Host& name);
  // The last name that an address was given out for counts. Placeholders are not remembered this
  // way.
  void Remember(const IpAddress& address, const Host& name);
  std::optional<Host> NameOf(const IpAddress& address) const;

 private:
  struct State;
  mutable Mutex mutex_;
  const std::unique_ptr<State> state_ ABSL_PT_GUARDED_BY(mutex_);
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_DNS_NAMES_H_
