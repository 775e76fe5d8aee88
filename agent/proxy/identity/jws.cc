#include "agent/proxy/identity/jws.h"

#include <openssl/curve25519.h>
#include <openssl/mem.h>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "common/base/strings.h"

namespace sallyport::proxy {

absl::StatusOr<Ed25519Key> Ed25519Key::FromSeed(std::string_view seed) {
  if (seed.size() != 32) return absl::InvalidArgumentError("an Ed25519 seed has 32 bytes");
  Ed25519Key key;
  std::array<uint8_t, ED25519_PUBLIC_KEY_LEN> public_key;
  ED25519_keypair_from_seed(public_key.data(), key.key_.data(),
                            reinterpret_cast<const uint8_t*>(seed.data()));
  return key;
}

Ed25519Key::~Ed25519Key() { OPENSSL_cleanse(key_.data(), key_.size()); }

std::string Ed25519Key::Sign(std::string_view message) const {
  std::string signature(ED25519_SIGNATURE_LEN, '\0');
  ED25519_sign(reinterpret_cast<uint8_t*>(signature.data()),
               reinterpret_cast<const uint8_t*>(message.data()), message.size(), key_.data());
  return signature;
}

std::string Base64Url(std::string_view bytes) { return absl::WebSafeBase64Escape(ToAbsl(bytes)); }

std::string CompactJws(const Ed25519Key& key, std::string_view header, std::string_view payload) {
  const std::string signed_part = StrCat(header, ".", Base64Url(payload));
  return StrCat(signed_part, ".", Base64Url(key.Sign(signed_part)));
}

}  // namespace sallyport::proxy
