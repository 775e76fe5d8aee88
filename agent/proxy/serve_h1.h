// The requests of an HTTP/1 connection, one after the other.

#ifndef SALLYPORT_AGENT_PROXY_SERVE_H1_H_
#define SALLYPORT_AGENT_PROXY_SERVE_H1_H_

#include <string>

#include "agent/proxy/exchange.h"

namespace sallyport::proxy {

// Serves the requests of a connection, each decided on its own, until it ends. `early` was read
// from `stream` before. `client.http` is not yet set.
Task<void> ServeH1(ClientConnection client, Stream* stream, std::string early);

// What a CONNECT has turned a connection into.
struct OpenedTunnel {
  Origin origin;
  std::string early;  // Read behind the CONNECT.
};
// The same for the client of an explicit proxy. A tunnel: the stream is the caller's again.
Task<std::optional<OpenedTunnel>> ServeProxyH1(ClientConnection client, Stream* stream,
                                               std::string early);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_SERVE_H1_H_
