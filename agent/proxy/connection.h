// A container's connection, from accept to end: the table of contents of the data plane.

#ifndef SALLYPORT_AGENT_PROXY_CONNECTION_H_
#define SALLYPORT_AGENT_PROXY_CONNECTION_H_

#include <string>

#include "agent/proxy/admission.h"
#include "agent/proxy/container.h"
#include "agent/proxy/origin.h"
#include "common/base/unique_fd.h"

namespace sallyport::proxy {

// `tokens` are held until the end.
Task<void> ServeConnection(ContainerPtr container, UniqueFd socket, ConnectionTokens tokens);

// What is said in a tunnel to `origin` that is not a socket, as it would be on a connection of its
// own. `early` was read from `tunnel`, which is closed at the end.
Task<void> ServeTunnel(ContainerPtr container, Origin origin, Stream* tunnel, std::string early);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_CONNECTION_H_
