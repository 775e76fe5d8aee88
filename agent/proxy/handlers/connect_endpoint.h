// A connection to one endpoint of a handler.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_CONNECT_ENDPOINT_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_CONNECT_ENDPOINT_H_

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "agent/proxy/dns/resolver.h"
#include "agent/proxy/handlers/socket_source.h"
#include "agent/proxy/stream.h"
#include "agent/proxy/tls/upstream.h"
#include "common/policy/handler_endpoint.h"

namespace sallyport::proxy {

// What connecting takes. All of it outlives every attempt.
struct EndpointDial {
  boost::asio::io_context* context = nullptr;
  Resolver* resolver = nullptr;
  UpstreamTls* tls = nullptr;                        // For handlers without settings of their own.
  std::shared_ptr<const SocketSource> sockets = {};  // Null: Unix sockets cannot be reached.
};

// How to shake hands with one handler.
struct EndpointTls {
  std::shared_ptr<UpstreamTls> context = {};  // Null: EndpointDial's.
  std::string server_name = {};               // Empty: the endpoint's host.
};

// Connects, and shakes hands where TLS is asked for; the stream has no deadline then. No policy
// holds: the operator chose the endpoint. UNAVAILABLE: it cannot be reached, or cannot be verified;
// the message names it. DEADLINE_EXCEEDED.
Task<absl::StatusOr<std::unique_ptr<Stream>>> ConnectEndpoint(EndpointDial dial,
                                                              HandlerEndpoint endpoint,
                                                              SteadyTime deadline,
                                                              EndpointTls tls = {});

// What :authority says of it; of a Unix socket as gRPC's clients do.
std::string AuthorityOf(const HandlerEndpoint& endpoint);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_CONNECT_ENDPOINT_H_
