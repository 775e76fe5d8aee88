#include "agent/proxy/terminate.h"

#include <utility>
#include <vector>

#include "agent/proxy/admission.h"
#include "agent/proxy/mirror_alpn.h"
#include "agent/proxy/open_stream.h"

namespace sallyport::proxy {

namespace {

// Room for one more handshake, and for the certificate of `name`.
Task<absl::StatusOr<Gauge::Token>> Admit(ContainerPtr container, const Host& name,
                                         TcpStream* transport) {
  transport->SetDeadline(std::chrono::steady_clock::now() +
                         container->limits().Time(Limit::kHandshakeTimeoutMs));
  absl::StatusOr<Gauge::Token> handshake = co_await AdmitHandshake(*container);
  absl::Status admitted = handshake.status();
  if (admitted.ok()) admitted = co_await AdmitLeaf(*container, name);
  if (admitted.ok()) co_return handshake;
  transport->Close(Stream::How::kReset);
  co_return admitted;
}

Task<absl::StatusOr<Terminated>> ShakeHands(ContainerPtr container,
                                            std::unique_ptr<TcpStream> transport, std::string early,
                                            Host name, std::vector<std::string> protocols) {
  const std::shared_ptr<TurnShare> turns = container->turns();
  if (!turns->TryTake(Turn::kSignature)) co_await turns->Wait(Turn::kSignature);
  absl::StatusOr<LeafAuthority::Accepted> accepted = co_await container->leaves().Accept(
      std::move(transport), std::move(early), name, std::move(protocols));
  if (!accepted.ok()) co_return accepted.status();
  Terminated terminated;
  terminated.stream = std::move(accepted->stream);
  terminated.stream->SetDeadline(SteadyTime::max());
  terminated.alpn = std::move(accepted->alpn);
  terminated.facts =
      std::make_shared<const TlsFacts>(TlsFacts{std::move(name), std::move(accepted->tls_version)});
  co_return terminated;
}

}  // namespace

Task<absl::StatusOr<Terminated>> Terminate(ContainerPtr container, Origin origin,
                                           std::unique_ptr<TcpStream> transport, std::string early,
                                           Host name) {
  // Also while the TLS stream has it.
  const OpenStream open(container, transport.get());
  const absl::StatusOr<Gauge::Token> handshake = co_await Admit(container, name, transport.get());
  if (!handshake.ok()) co_return handshake.status();
  // It may have a connection to the origin made, which is to cost what a handshake may.
  std::vector<std::string> protocols = co_await MirrorAlpn(container, origin, name);
  co_return co_await ShakeHands(container, std::move(transport), std::move(early), std::move(name),
                                std::move(protocols));
}

Task<absl::StatusOr<Terminated>> TerminateForProxy(ContainerPtr container,
                                                   std::unique_ptr<TcpStream> transport,
                                                   std::string early, Host own,
                                                   std::vector<std::string> protocols) {
  const OpenStream open(container, transport.get());
  const absl::StatusOr<Gauge::Token> handshake = co_await Admit(container, own, transport.get());
  if (!handshake.ok()) co_return handshake.status();
  co_return co_await ShakeHands(container, std::move(transport), std::move(early), std::move(own),
                                std::move(protocols));
}

}  // namespace sallyport::proxy
