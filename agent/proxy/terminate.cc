#include "agent/proxy/terminate.h"

#include <utility>

#include "agent/proxy/admission.h"

namespace sallyport::proxy {

Task<absl::StatusOr<Terminated>> Terminate(ContainerPtr container,
                                           std::unique_ptr<TcpStream> transport, std::string early,
                                           Host name, std::vector<std::string> protocols) {
  transport->SetDeadline(std::chrono::steady_clock::now() +
                         container->limits().Time(Limit::kHandshakeTimeoutMs));
  const absl::StatusOr<Gauge::Token> admitted = co_await AdmitHandshake(*container);
  if (!admitted.ok()) {
    transport->Close(Stream::How::kReset);
    co_return admitted.status();
  }
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
