// Ends the container's TLS with a leaf of its own CA.

#ifndef SALLYPORT_AGENT_PROXY_TERMINATE_H_
#define SALLYPORT_AGENT_PROXY_TERMINATE_H_

#include <memory>
#include <string>
#include <vector>

#include "agent/proxy/container.h"
#include "agent/proxy/destination.h"
#include "agent/proxy/origin.h"
#include "agent/proxy/tcp_stream.h"

namespace sallyport::proxy {

struct Terminated {
  std::unique_ptr<TlsStream> stream;
  std::shared_ptr<const TlsFacts> facts;
  std::string alpn;  // As LeafAuthority::Accepted.
};

// Shakes hands as `name`, once there is room for it, and offers what MirrorAlpn says. An error was
// told to the client by an alert; `UNAUTHENTICATED` means that the client does not trust our CA,
// RESOURCE_EXHAUSTED that there was no room in time.
Task<absl::StatusOr<Terminated>> Terminate(ContainerPtr container, Origin origin,
                                           std::unique_ptr<TcpStream> transport, std::string early,
                                           Host name);

// The same for an explicit proxy's own TLS, with these protocols on offer.
Task<absl::StatusOr<Terminated>> TerminateForProxy(ContainerPtr container,
                                                   std::unique_ptr<TcpStream> transport,
                                                   std::string early, Host own,
                                                   std::vector<std::string> protocols);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TERMINATE_H_
