#include "agent/proxy/handlers/handler_tls.h"

#include <ctime>

#include "common/base/status.h"

namespace sallyport::proxy {

absl::StatusOr<std::shared_ptr<UpstreamTls>> HandlerTlsSource::Make(const HandlerTlsSpec& spec) {
  UpstreamPeer peer = {.called = "handler", .certificate = CertificateFor(spec)};
  if (spec.client_certificate && peer.certificate == nullptr) {
    return absl::UnavailableError(
        "the handler is to be shown this host's certificate (tls.client_certificate), and there is "
        "none: give sallyport-agent --tls-dir, or --handler-certificate and --handler-key; its log "
        "says why if it has them");
  }
  ASSIGN_OR_RETURN(std::shared_ptr<const UpstreamTls::Roots> roots, RootsOf(spec.ca_certificates));
  ASSIGN_OR_RETURN(
      std::unique_ptr<UpstreamTls> tls,
      UpstreamTls::Create(std::move(roots), [] { return time(nullptr); }, std::move(peer)));
  return std::shared_ptr<UpstreamTls>(std::move(tls));
}

absl::StatusOr<std::shared_ptr<const UpstreamTls::Roots>> HandlerTlsSource::RootsOf(
    const std::string& pem) {
  if (pem.empty()) return roots_;
  std::weak_ptr<const UpstreamTls::Roots>& known = known_[pem];
  if (std::shared_ptr<const UpstreamTls::Roots> roots = known.lock()) return roots;
  absl::StatusOr<std::shared_ptr<const UpstreamTls::Roots>> roots = UpstreamTls::ParseRoots(pem);
  if (roots.ok()) known = *roots;
  // What nobody uses any more.
  absl::erase_if(known_, [](const auto& one) { return one.second.expired(); });
  if (roots.ok()) return roots;
  return absl::UnavailableError(
      "no certificate in tls.ca_certificates can be read: register the handler with its CA's");
}

}  // namespace sallyport::proxy
