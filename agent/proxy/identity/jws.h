// JSON Web Signatures (RFC 7515) by Ed25519 (RFC 8037).

#ifndef SALLYPORT_AGENT_PROXY_IDENTITY_JWS_H_
#define SALLYPORT_AGENT_PROXY_IDENTITY_JWS_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace sallyport::proxy {

// Overwritten when it goes. Immutable.
class Ed25519Key {
 public:
  // INVALID_ARGUMENT: not 32 bytes.
  static absl::StatusOr<Ed25519Key> FromSeed(std::string_view seed);
  ~Ed25519Key();
  Ed25519Key(const Ed25519Key&) = default;
  Ed25519Key& operator=(const Ed25519Key&) = default;

  std::string Sign(std::string_view message) const;

 private:
  Ed25519Key() = default;

  std::array<uint8_t, 64> key_ = {};
};

// Base64url without padding (RFC 7515 section 2).
std::string Base64Url(std::string_view bytes);
// The compact serialization (section 7.1). `header` is encoded already, `payload` is not.
std::string CompactJws(const Ed25519Key& key, std::string_view header, std::string_view payload);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_IDENTITY_JWS_H_
