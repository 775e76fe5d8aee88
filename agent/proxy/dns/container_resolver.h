// The operator's resolvers as one container may use them.

#ifndef SALLYPORT_AGENT_PROXY_DNS_CONTAINER_RESOLVER_H_
#define SALLYPORT_AGENT_PROXY_DNS_CONTAINER_RESOLVER_H_

#include <boost/asio/io_context.hpp>
#include <memory>

#include "agent/proxy/dns/container_dns.h"
#include "agent/proxy/dns/resolver.h"

namespace sallyport::proxy {

// Keeps answers, asks once for what is asked many times at once, and within the container's budget.
// For its queries and its egress on one worker, to which it belongs. `upstream` and `context`
// outlive it; its questions under way may outlive it too.
//
// Beside the errors of Resolver: RESOURCE_EXHAUSTED, the budget is used up; PERMISSION_DENIED, the
// names look like a tunnel.
class ContainerResolver final : public Resolver {
 public:
  ContainerResolver(boost::asio::io_context& context, Resolver* upstream,
                    std::shared_ptr<ContainerDns> dns);
  ~ContainerResolver() override;

  Task<absl::StatusOr<UpstreamAnswer>> Query(Host name, DnsType type) override;

  struct State;  // Kept alive by questions under way.

 private:
  const std::shared_ptr<State> state_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_DNS_CONTAINER_RESOLVER_H_
