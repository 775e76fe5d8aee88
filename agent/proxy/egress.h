// Sends a permitted request to its origin and the origin's answer back.

#ifndef SALLYPORT_AGENT_PROXY_EGRESS_H_
#define SALLYPORT_AGENT_PROXY_EGRESS_H_

#include <optional>
#include <string>
#include <vector>

#include "agent/proxy/exchange.h"

namespace sallyport::proxy {

class Mediation;

// What goes to an origin: the container's request, or what a handler made of it. `headers` has no
// host, framing or hop-by-hop headers; `host` and `port` stand for `authority`.
struct OriginRequest : RequestHead {
  RequestScheme scheme = RequestScheme::kHttp;
  Host host;
  uint16_t port = 0;
  // Not the container's, but a handler's choice: where policy does not let it go, it is the handler
  // that failed.
  bool host_is_handlers = false;
  std::optional<Cidr> within = {};  // As Exchange::within; absent if the handler chose the host.
  // A handler has set or removed these: trailers of their names, in any spelling, stay behind.
  std::vector<std::string> withheld_trailers;
};

// RFC 9110 section 9.2.2: a proxy sends no other request twice by itself.
bool IsIdempotent(std::string_view method);

// The container's request as it is.
OriginRequest OriginRequestOf(const Exchange& exchange);

// `rule` permitted it. Connects (or takes a pooled connection whose address is still permitted),
// sends the request with the container's body and streams the answer back. Asks again over a fresh
// connection, unless anything of the body was taken: if the origin has certainly not processed the
// request, or if a pooled connection turns out to be dead and the request is idempotent. A
// container that waits to be asked for its body is asked when the origin asks. Whichever HTTP the
// container speaks, the origin is spoken to in its own. A WebSocket gets a stream of an HTTP/2
// connection whose origin takes such, or an HTTP/1.1 connection of its own; what becomes a
// WebSocket is left in the outcome. With a `mediation` the request's body comes from it, if it
// transforms that, and the answer goes by way of it.
Task<Outcome> SendToOrigin(const Exchange& exchange, OriginRequest request, std::string rule,
                           Mediation* mediation = nullptr);

// The answer to a request that may not go where it is meant to go.
Task<Outcome> RefuseToSend(const Exchange& exchange, const OriginRequest& request, Denial denial);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_EGRESS_H_
