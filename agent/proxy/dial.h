// The one place where egress connects out.

#ifndef SALLYPORT_AGENT_PROXY_DIAL_H_
#define SALLYPORT_AGENT_PROXY_DIAL_H_

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "agent/proxy/budget.h"
#include "agent/proxy/dns/resolver.h"
#include "agent/proxy/tcp_stream.h"
#include "common/policy/decide.h"

namespace sallyport::proxy {

struct Dialled {
  std::unique_ptr<TcpStream> stream;
  IpAddress address;
  // In monitor mode: an enforcing class would not dial it.
  std::optional<Reason> would_deny = {};
};
// `reason` is an audit reason: origin_unreachable, origin_timeout, overloaded (this host has no
// descriptor, memory or local port left for it, or the container has used up its DNS questions),
// dns_tunnel (the names that it asks for look like data) or over_budget (the container has as many
// connections as it may; `detail` is the limit's name). `detail` is for the operator.
struct DialFailed {
  std::string_view reason;
  std::string detail;
};
using DialResult = std::variant<Dialled, Denial, DialFailed>;

// What a dial needs from its worker. The referenced objects outlive every dial.
struct DialContext {
  boost::asio::io_context* context = nullptr;
  Resolver* resolver = nullptr;
  const OpenRanges* open_ranges = nullptr;
  std::shared_ptr<ContainerBudget> budget = {};  // Null: nobody counts.
};

// Resolves `host` and connects to the first of its addresses that answers, each checked against
// `denied_hosts` and the platform deny set right before the connect(2). The policy is asked for
// anew at that point, so that a change during resolution counts. `within`: other addresses of the
// host are left out. Denial: no address may be dialled, or the policy is gone.
using PolicySource = std::function<std::shared_ptr<const EffectivePolicy>()>;
Task<DialResult> Dial(DialContext context, PolicySource policy, Host host, uint16_t port,
                      SteadyTime deadline, std::optional<Cidr> within = {});

// Connects to one address, without any policy: for handlers, which the operator chose.
Task<absl::StatusOr<std::unique_ptr<TcpStream>>> ConnectTo(boost::asio::io_context* context,
                                                           IpAddress address, uint16_t port,
                                                           SteadyTime deadline);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_DIAL_H_
