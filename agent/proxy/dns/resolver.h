// Asks the operator's resolvers, and nobody else: no hosts file, no search domains.

#ifndef SALLYPORT_AGENT_PROXY_DNS_RESOLVER_H_
#define SALLYPORT_AGENT_PROXY_DNS_RESOLVER_H_

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/proxy/task.h"
#include "common/net/host.h"

namespace sallyport::proxy {

struct ResolverOptions {
  // For one call, over all servers and attempts.
  std::chrono::milliseconds budget{5000};
};

// On c-ares, driven by the worker's io_context. Belongs to one worker. Opens files only in Create
// (the seed of message ids). Calls that are under way when it is destroyed fail with UNAVAILABLE;
// `context` must outlive it.
class Resolver {
 public:
  // `servers`: ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT each. No servers: every query fails with
  // UNAVAILABLE. They are asked in this order; the next one if one is silent or fails.
  static absl::StatusOr<std::unique_ptr<Resolver>> Create(boost::asio::io_context& context,
                                                          const std::vector<std::string>& servers,
                                                          ResolverOptions options = {});
  virtual ~Resolver() = default;

  // IPv4 and IPv6 addresses, interleaved with the family of the first preferred (RFC 8305 section
  // 4): IPv6 where there is a route to it. NOT_FOUND: no such name or no address. UNAVAILABLE or
  // DEADLINE_EXCEEDED: no resolver answered within 5 s. A literal address resolves to itself,
  // localhost to loopback (RFC 6761 section 6.3).
  virtual Task<absl::StatusOr<std::vector<IpAddress>>> Resolve(Host host) = 0;

  // One raw answer to a question, as received (id not meaningful). NXDOMAIN and empty answers are
  // answers, not errors. Errors as above. `name` is the text of a Host that is a name.
  virtual Task<absl::StatusOr<std::string>> Query(std::string name, int type) = 0;
};

// localhost and the names below it, which never leave the host (RFC 6761 section 6.3).
bool IsLocalhostName(const Host& host);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_DNS_RESOLVER_H_
