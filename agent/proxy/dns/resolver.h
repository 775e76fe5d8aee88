// Asks the operator's resolvers, and nobody else: no hosts file, no search domains.

#ifndef SALLYPORT_AGENT_PROXY_DNS_RESOLVER_H_
#define SALLYPORT_AGENT_PROXY_DNS_RESOLVER_H_

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/proxy/dns/upstream_answer.h"
#include "agent/proxy/task.h"
#include "common/net/host.h"

namespace sallyport::proxy {

struct ResolverOptions {
  // For one question, over all servers and attempts. A client that waits for five seconds, as most
  // do, shall hear of a failure.
  std::chrono::milliseconds budget{4500};
};

// Belongs to one worker, whose io_context outlives it. Questions that are under way when it is
// destroyed fail with UNAVAILABLE.
class Resolver {
 public:
  // A stub resolver. `servers`: ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT each. No servers: every
  // question fails with UNAVAILABLE. They are asked in this order; the next one if one is silent or
  // fails.
  static absl::StatusOr<std::unique_ptr<Resolver>> Create(boost::asio::io_context& context,
                                                          const std::vector<std::string>& servers,
                                                          ResolverOptions options = {});
  virtual ~Resolver() = default;

  // IPv4 and IPv6 addresses, interleaved with the family of the first preferred (RFC 8305 section
  // 4): IPv6 where there is a route to it. NOT_FOUND: no such name or no address. Else as Query. A
  // literal address resolves to itself, localhost to loopback (RFC 6761 section 6.3).
  virtual Task<absl::StatusOr<std::vector<IpAddress>>> Resolve(Host host);

  // NXDOMAIN and empty answers are answers, not errors. UNAVAILABLE or DEADLINE_EXCEEDED: no
  // resolver answered in time. REQUIRES: `name` is no address.
  virtual Task<absl::StatusOr<UpstreamAnswer>> Query(Host name, DnsType type) = 0;

 protected:
  Resolver(boost::asio::io_context& context, ResolverOptions options)
      : context_(context), options_(options) {}

  boost::asio::io_context& context_;
  const ResolverOptions options_;
};

// localhost and the names below it, which never leave the host (RFC 6761 section 6.3).
bool IsLocalhostName(const Host& host);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_DNS_RESOLVER_H_
