// Asks the operator's resolvers, and nobody else: no hosts file, no search domains.

#ifndef SALLYPORT_AGENT_PROXY_DNS_RESOLVER_H_
#define SALLYPORT_AGENT_PROXY_DNS_RESOLVER_H_

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/proxy/task.h"
#include "common/net/host.h"

namespace sallyport::proxy {

// On c-ares, driven by the worker's io_context. Belongs to one worker.
class Resolver {
 public:
  // `servers`: ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT each. No servers: every query fails with UNAVAILABLE.
  static absl::StatusOr<std::unique_ptr<Resolver>> Create(boost::asio::io_context& context,
                                                          const std::vector<std::string>& servers);
  virtual ~Resolver() = default;

  // IPv4 and IPv6 addresses, interleaved with the family of the first preferred (RFC 8305 section 4). NOT_FOUND: no such name or no address.
  // UNAVAILABLE or DEADLINE_EXCEEDED: no resolver answered within 5 s. A literal address resolves to itself.
  virtual Task<absl::StatusOr<std::vector<IpAddress>>> Resolve(Host host) = 0;

  // One raw answer to a question, as received (id not meaningful). NXDOMAIN and empty answers are answers, not errors. Errors as above.
  virtual Task<absl::StatusOr<std::string>> Query(std::string name, int type) = 0;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_DNS_RESOLVER_H_
