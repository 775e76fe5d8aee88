// A request to an explicit proxy: one that names where it goes (RFC 9110 section 7.7).

#ifndef SALLYPORT_AGENT_PROXY_SERVE_PROXY_REQUEST_H_
#define SALLYPORT_AGENT_PROXY_SERVE_PROXY_REQUEST_H_

#include <optional>

#include "agent/proxy/admission.h"
#include "agent/proxy/exchange.h"

namespace sallyport::proxy {

// Without the container's credential: 407. For an origin: answered as ServeRequest does. CONNECT to
// a port that is not read as HTTP or TLS: relayed until its end. Any other CONNECT that is agreed
// to: where it leads; the client's tunnel is then the caller's to serve as a connection.
Task<std::optional<Origin>> ServeProxyRequest(ClientConnection client, RequestHead head);

// There is no room for the tunnel that a CONNECT asks for: 503.
Task<void> RefuseTunnel(ClientConnection client, RequestHead head, OverBudget over);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_SERVE_PROXY_REQUEST_H_
