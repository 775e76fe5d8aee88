// Which HTTP a container's TLS client is offered.

#ifndef SALLYPORT_AGENT_PROXY_MIRROR_ALPN_H_
#define SALLYPORT_AGENT_PROXY_MIRROR_ALPN_H_

#include <string>
#include <vector>

#include "agent/proxy/container.h"
#include "agent/proxy/origin.h"

namespace sallyport::proxy {

// For LeafAuthority::Accept: what the origin speaks, where requests for `name` go out to it. A
// connection is made if that is not known, and waits in the pool for the first request. "h2" and
// "http/1.1" where requests are answered here, by a refusal or by a handler, and where the origin
// does not tell in a few seconds: the request then learns why. Each request is decided on its own
// all the same.
Task<std::vector<std::string>> MirrorAlpn(ContainerPtr container, Origin origin, Host name);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_MIRROR_ALPN_H_
