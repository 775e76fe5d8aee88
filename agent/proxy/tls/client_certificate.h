// The certificate that this host shows to handlers.

#ifndef SALLYPORT_AGENT_PROXY_TLS_CLIENT_CERTIFICATE_H_
#define SALLYPORT_AGENT_PROXY_TLS_CLIENT_CERTIFICATE_H_

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace sallyport::proxy {

// A chain and its key. Immutable, shared between threads.
class ClientCertificate {
 public:
  // PEM, the leaf first. INVALID_ARGUMENT: one of them cannot be read, or they do not belong
  // together.
  static absl::StatusOr<std::shared_ptr<const ClientCertificate>> Parse(std::string_view chain,
                                                                        std::string_view key);

  // Connections of `context` show it where it is asked for.
  bool GiveTo(SSL_CTX* context) const;
  // As it was parsed.
  const std::string& chain() const { return text_; }

 private:
  ClientCertificate(std::string text, std::vector<bssl::UniquePtr<X509>> chain,
                    bssl::UniquePtr<EVP_PKEY> key)
      : text_(std::move(text)), chain_(std::move(chain)), key_(std::move(key)) {}

  const std::string text_;
  const std::vector<bssl::UniquePtr<X509>> chain_;  // Not empty.
  const bssl::UniquePtr<EVP_PKEY> key_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TLS_CLIENT_CERTIFICATE_H_
