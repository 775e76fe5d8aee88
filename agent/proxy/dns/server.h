// Answers the DNS queries of one container (semantics section 5).

#ifndef SALLYPORT_AGENT_PROXY_DNS_SERVER_H_
#define SALLYPORT_AGENT_PROXY_DNS_SERVER_H_

#include <functional>
#include <memory>
#include <string>

#include "agent/proxy/dns/names.h"
#include "agent/proxy/dns/resolver.h"
#include "common/base/unique_fd.h"
#include "common/policy/decide.h"

namespace sallyport::proxy {

struct DnsServerOptions {
  std::string container_id;
  // The policy in force now; null: none yet, everything is refused (REFUSED).
  std::function<std::shared_ptr<const EffectivePolicy>()> policy;
  Resolver* resolver = nullptr;
  std::shared_ptr<DnsNames> names;
  const OpenRanges* open_ranges = nullptr;
  // Called for each refused query (for audit): name, or "" if malformed, and why: an audit reason,
  // bad_name, not_supported, malformed or overloaded. May be null.
  std::function<void(std::string_view name, std::string_view reason)> on_refused;
  // Called for each query that only monitor mode lets pass. May be null.
  std::function<void(std::string_view name, std::string_view would_deny)> on_monitored = {};
  size_t max_in_flight = 256;
};

// Serves a bound, non-blocking UDP socket until Stop. Queries are answered concurrently, at most
// max_in_flight of them by asking upstream (more: SERVFAIL at once). Belongs to one worker; must
// outlive its last query: Stop, then destroy after the returned task of Serve ended. What `options`
// refers to must live as long.
class DnsServer {
 public:
  static std::unique_ptr<DnsServer> Create(boost::asio::io_context& context, UniqueFd socket,
                                           DnsServerOptions options);
  virtual ~DnsServer() = default;
  // Ends after Stop, when the last query under way has ended. REQUIRES: called once.
  virtual Task<void> Serve() = 0;
  // No query is answered from now on.
  virtual void Stop() = 0;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_DNS_SERVER_H_
