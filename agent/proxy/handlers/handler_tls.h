// TLS to handlers that are registered with settings of their own.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_HANDLER_TLS_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_HANDLER_TLS_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "agent/proxy/tls/client_certificate.h"
#include "agent/proxy/tls/upstream.h"
#include "common/policy/handler_security.h"

namespace sallyport::proxy {

// Makes contexts for one worker. What it made lives on by itself.
class HandlerTlsSource {
 public:
  // `roots`: for handlers that name none.
  explicit HandlerTlsSource(std::shared_ptr<const UpstreamTls::Roots> roots)
      : roots_(std::move(roots)) {}

  // Null: this host has none.
  void SetCertificate(std::shared_ptr<const ClientCertificate> certificate) {
    certificate_ = std::move(certificate);
  }
  // What a context by these settings would show now.
  std::shared_ptr<const ClientCertificate> CertificateFor(const HandlerTlsSpec& spec) const {
    return spec.client_certificate ? certificate_ : nullptr;
  }

  // A context with sessions of its own. UNAVAILABLE, with what to do: the handler asks for a
  // certificate of this host's, which has none, or its roots cannot be read.
  absl::StatusOr<std::shared_ptr<UpstreamTls>> Make(const HandlerTlsSpec& spec);

 private:
  absl::StatusOr<std::shared_ptr<const UpstreamTls::Roots>> RootsOf(const std::string& pem);

  const std::shared_ptr<const UpstreamTls::Roots> roots_;
  std::shared_ptr<const ClientCertificate> certificate_;
  // By their PEM: parsed once for all containers.
  absl::flat_hash_map<std::string, std::weak_ptr<const UpstreamTls::Roots>> known_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_HANDLER_TLS_H_
