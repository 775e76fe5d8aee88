#include "agent/proxy/terminate.h"

#include <utility>
#include <vector>

#include "agent/proxy/admission.h"
#include "agent/proxy/mirror_alpn.h"

namespace sallyport::proxy {

Task<absl::StatusOr<Terminated>> Terminate(ContainerPtr container, Origin origin,
                                           std::unique_ptr<TcpStream> transport, std::string early,
                                           Host name) {
  transport->SetDeadline(std::chrono::steady_clock::now() +
                         container->limits().Time(Limit::kHandshakeTimeoutMs));
  const absl::StatusOr<Gauge::Token> handshake = co_await AdmitHandshake(*container);
  absl::Status admitted = handshake.status();
  if (admitted.ok()) admitted = co_await AdmitLeaf(*container, name);
  if (!admitted.ok()) {
    transport->Close(Stream::How::kReset);
    co_return admitted;
  }
  // It may have a connection to the origin made, which is to cost what a handshake may.
  std::vector<std::string> protocols = co_await MirrorAlpn(container, origin, name);
  const std::shared_ptr<TurnShare> turns = container->turns();
  if (!turns->TryTake(Turn::kSignature)) co_await turns->Wait(Turn::kSignature);
  absl::StatusOr<LeafAuthority::Accepted> accepted = co_await container->leaves().Accept(
      std::move(transport), std::move(early), name, std::move(protocols));
  if (!accepted.ok()) co_return accepted.status();
  Terminated terminated;
  terminated.stream = std::move(accepted->stream);
  terminated.stream->SetDeadline(SteadyTime::max());
  terminated.alpn = std::move(accepted->alpn);
  terminated.facts = TlsFacts{std::move(name), std::move(accepted->tls_version)};
  co_return terminated;
}

}  // namespace sallyport::proxy
