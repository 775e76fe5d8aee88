// A container's connection that speaks HTTP/2: many requests at once.

#ifndef SALLYPORT_AGENT_PROXY_SERVE_H2_H_
#define SALLYPORT_AGENT_PROXY_SERVE_H2_H_

#include <string>

#include "agent/proxy/exchange.h"

namespace sallyport::proxy {

// Serves requests until the connection ends, each by a coroutine of its own. `early` was read from
// the stream before. Registered with the container: if that is detached, the client is told so
// (GOAWAY).
Task<void> ServeH2(ClientConnection client, Stream* stream, std::string early);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_SERVE_H2_H_
