// Connections that are relayed byte for byte: TLS that is not decrypted, and TCP ports that are not
// sniffed.

#ifndef SALLYPORT_AGENT_PROXY_TUNNEL_H_
#define SALLYPORT_AGENT_PROXY_TUNNEL_H_

#include <memory>
#include <string>

#include "agent/proxy/container.h"
#include "agent/proxy/http/http_exchange.h"
#include "agent/proxy/origin.h"
#include "agent/proxy/tcp_stream.h"

namespace sallyport::proxy {

// TLS for `name` on a sniffed port. Permitted: relayed to an address that we resolved for the name.
// Refused: reset before a byte leaves.
Task<void> ServeTlsTunnel(ContainerPtr container, Origin origin, std::unique_ptr<TcpStream> client,
                          std::string early, Host name);

// Any other TCP connection; relayed to the address that the container dialled, or to the name that
// an explicit proxy was asked for, if permitted.
Task<void> ServeTcpTunnel(ContainerPtr container, Origin origin, std::unique_ptr<TcpStream> client,
                          std::string early);
// The same for a CONNECT, which is answered once there is a connection, or with why there is none.
Task<void> ServeConnectTunnel(ContainerPtr container, Origin origin, ServerExchange* connect);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TUNNEL_H_
