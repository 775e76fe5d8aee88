// Makes identity tokens.

#ifndef SALLYPORT_AGENT_PROXY_IDENTITY_TOKEN_SIGNER_H_
#define SALLYPORT_AGENT_PROXY_IDENTITY_TOKEN_SIGNER_H_

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "agent/proxy/identity/jws.h"

namespace sallyport::proxy {

// What a token says besides who signed it.
struct TokenClaims {
  std::string_view container_id;  // `sub`
  std::string_view audience;      // `aud`
  std::string_view class_name;    // `class`
  std::string_view handler;       // `handler`
  int64_t issued_at = 0;          // `iat`, `nbf`: seconds since 1970.
  std::chrono::seconds ttl{0};    // From there to `exp`.
};

// By one key. Immutable, shared between threads.
class TokenSigner {
 public:
  // `seed`: Ed25519, 32 bytes. INVALID_ARGUMENT otherwise.
  static absl::StatusOr<std::shared_ptr<const TokenSigner>> Create(std::string_view seed,
                                                                   std::string_view key_id,
                                                                   std::string issuer);

  // A JWT (RFC 7519), ASCII.
  std::string Sign(const TokenClaims& claims) const;

 private:
  TokenSigner(const Ed25519Key& key, std::string header, std::string issuer)
      : key_(key), header_(std::move(header)), issuer_(std::move(issuer)) {}

  const Ed25519Key key_;
  const std::string header_;  // Encoded.
  const std::string issuer_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_IDENTITY_TOKEN_SIGNER_H_
