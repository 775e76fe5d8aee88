// Keys of identity tokens.

#ifndef SALLYPORT_COMMON_PKI_TOKEN_KEY_H_
#define SALLYPORT_COMMON_PKI_TOKEN_KEY_H_

#include <chrono>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace sallyport::pki {

inline constexpr size_t kEd25519KeyBytes = 32;

// No token holds longer (common/policy/handler_security.h), and no two clocks that agree on
// certificates are further apart: what is not in use for so long has no token that still holds.
inline constexpr std::chrono::minutes kTokenAfterlife{65};

// Ed25519 (RFC 8032).
struct TokenKeyPair {
  std::string seed;
  std::string public_key;
};
// INTERNAL if OpenSSL makes none.
absl::StatusOr<TokenKeyPair> MakeTokenKey();

// The thumbprint of an Ed25519 public key (RFC 7638, RFC 8037 section 2): nobody can give another
// key the same name.
std::string KeyIdOf(std::string_view public_key);

}  // namespace sallyport::pki

#endif  // SALLYPORT_COMMON_PKI_TOKEN_KEY_H_
