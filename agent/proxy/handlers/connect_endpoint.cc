#include "agent/proxy/handlers/connect_endpoint.h"

#include <utility>
#include <vector>

#include "agent/proxy/dial.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

absl::StatusOr<Host> HostOf(const std::string& text) {
  const absl::StatusOr<IpAddress> address = IpAddress::Parse(text);
  if (address.ok()) return Host::FromAddress(*address);
  return Host::Parse(text);
}

Task<absl::StatusOr<std::unique_ptr<TcpStream>>> ConnectOverTcp(EndpointDial dial, Host host,
                                                                uint16_t port,
                                                                SteadyTime deadline) {
  const absl::StatusOr<std::vector<IpAddress>> addresses = co_await dial.resolver->Resolve(host);
  if (!addresses.ok()) co_return addresses.status();
  absl::Status last = absl::UnavailableError(StrCat(host.text(), " has no address"));
  for (const IpAddress& address : *addresses) {
    absl::StatusOr<std::unique_ptr<TcpStream>> stream =
        co_await ConnectTo(dial.context, address, port, deadline);
    if (stream.ok()) co_return stream;
    last = stream.status();
  }
  co_return last;
}

Task<absl::StatusOr<std::unique_ptr<Stream>>> Secure(UpstreamTls* tls,
                                                     std::unique_ptr<TcpStream> stream, Host host,
                                                     HandlerEndpoint::Protocol protocol) {
  const bool grpc = protocol == HandlerEndpoint::Protocol::kGrpc;
  absl::StatusOr<UpstreamTls::Connected> secured = co_await tls->Connect(
      std::move(stream), std::move(host), grpc ? AlpnOffer::kHttp2AndHttp1 : AlpnOffer::kHttp1);
  if (!secured.ok()) co_return secured.status();
  if (grpc && !secured->http2)
    co_return absl::UnavailableError("it does not speak HTTP/2 (ALPN h2), as gRPC does");
  co_return std::move(secured->stream);
}

Task<absl::StatusOr<std::unique_ptr<Stream>>> Connect(EndpointDial dial, HandlerEndpoint endpoint,
                                                      SteadyTime deadline, EndpointTls tls) {
  if (endpoint.is_unix()) {
    if (dial.sockets == nullptr) co_return absl::UnavailableError("the agent gives no sockets");
    CO_ASSIGN_OR_RETURN(
        std::unique_ptr<TcpStream> socket,
        co_await ConnectToSocket(dial.context, dial.sockets, std::move(endpoint.path), deadline));
    co_return std::move(socket);
  }
  CO_ASSIGN_OR_RETURN(const Host host, HostOf(endpoint.host));
  CO_ASSIGN_OR_RETURN(std::unique_ptr<TcpStream> stream,
                      co_await ConnectOverTcp(dial, host, endpoint.port, deadline));
  stream->SetDeadline(deadline);
  if (!endpoint.tls) co_return std::move(stream);
  const std::string& name = tls.server_name.empty() ? endpoint.host : tls.server_name;
  CO_ASSIGN_OR_RETURN(const Host expected, HostOf(name));
  co_return co_await Secure(tls.context != nullptr ? tls.context.get() : dial.tls,
                            std::move(stream), expected, endpoint.protocol);
}

}  // namespace

std::string AuthorityOf(const HandlerEndpoint& endpoint) {
  if (endpoint.is_unix()) return "localhost";
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  return StrCat(v6 ? "[" : "", endpoint.host, v6 ? "]" : "", ":", endpoint.port);
}

Task<absl::StatusOr<std::unique_ptr<Stream>>> ConnectEndpoint(EndpointDial dial,
                                                              HandlerEndpoint endpoint,
                                                              SteadyTime deadline,
                                                              EndpointTls tls) {
  absl::StatusOr<std::unique_ptr<Stream>> stream =
      co_await Connect(dial, endpoint, deadline, std::move(tls));
  if (stream.ok()) {
    (*stream)->SetDeadline(SteadyTime::max());
    co_return stream;
  }
  const std::string why = StrCat(endpoint.text, ": ", ToStd(stream.status().message()));
  if (absl::IsDeadlineExceeded(stream.status())) co_return absl::DeadlineExceededError(why);
  co_return absl::UnavailableError(why);
}

}  // namespace sallyport::proxy
