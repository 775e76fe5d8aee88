// Answers the DNS queries of one container (semantics section 5).

#ifndef SALLYPORT_AGENT_PROXY_DNS_SERVER_H_
#define SALLYPORT_AGENT_PROXY_DNS_SERVER_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "agent/proxy/dns/resolver.h"
#include "common/base/mutex.h"
#include "common/base/unique_fd.h"
#include "common/policy/decide.h"

namespace sallyport::proxy {

// Which name our DNS gave an address out for, and the placeholders. Thread-safe: DNS is served by one worker, connections are by all. At most
// 4,096 names and 8,192 addresses a container (LRU); placeholders come from 198.18.0.0/15 and are stable while kept.
class DnsNames {
 public:
  DnsNames();
  ~DnsNames();
  // The placeholder of a name, made if there is none.
  IpAddress Placeholder(const Host& name);
  void Remember(const IpAddress& address, const Host& name);
  std::optional<Host> NameOf(const IpAddress& address) const;

 private:
  struct State;
  mutable Mutex mutex_;
  std::unique_ptr<State> state_;
};

struct DnsServerOptions {
  std::string container_id;
  // The policy in force now; null: none yet, everything is refused (REFUSED).
  std::function<std::shared_ptr<const EffectivePolicy>()> policy;
  Resolver* resolver = nullptr;
  std::shared_ptr<DnsNames> names;
  const OpenRanges* open_ranges = nullptr;
  // Called for each refused query (for audit): name, or "" if malformed, and why.
  std::function<void(std::string_view name, std::string_view reason)> on_refused;
  size_t max_in_flight = 256;
};

// Serves a bound UDP socket until Stop. Queries are answered concurrently, at most max_in_flight (more: SERVFAIL at once). Belongs to one
// worker; must outlive its last query: Stop, then destroy after the returned task of Serve ended.
class DnsServer {
 public:
  static std::unique_ptr<DnsServer> Create(boost::asio::io_context& context, UniqueFd socket, DnsServerOptions options);
  virtual ~DnsServer() = default;
  virtual Task<void> Serve() = 0;
  virtual void Stop() = 0;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_DNS_SERVER_H_
