// A container's connection, from accept to end: the table of contents of the data plane.

#ifndef SALLYPORT_AGENT_PROXY_CONNECTION_H_
#define SALLYPORT_AGENT_PROXY_CONNECTION_H_

#include "agent/proxy/admission.h"
#include "agent/proxy/container.h"
#include "common/base/unique_fd.h"

namespace sallyport::proxy {

// `tokens` are held until the end.
Task<void> ServeConnection(ContainerPtr container, UniqueFd socket, ConnectionTokens tokens);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_CONNECTION_H_
