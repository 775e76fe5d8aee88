#include "common/pki/token_key.h"

#include <openssl/sha.h>

#include "absl/strings/escaping.h"
#include "common/base/strings.h"
#include "common/pki/openssl.h"

namespace sallyport::pki {

absl::StatusOr<TokenKeyPair> MakeTokenKey() {
  const KeyPtr key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  TokenKeyPair pair{std::string(kEd25519KeyBytes, '\0'), std::string(kEd25519KeyBytes, '\0')};
  size_t seed_size = pair.seed.size();
  size_t public_size = pair.public_key.size();
  if (key != nullptr &&
      EVP_PKEY_get_raw_private_key(key.get(), reinterpret_cast<unsigned char*>(pair.seed.data()),
                                   &seed_size) == 1 &&
      EVP_PKEY_get_raw_public_key(
          key.get(), reinterpret_cast<unsigned char*>(pair.public_key.data()), &public_size) == 1) {
    return pair;
  }
  return CryptoError("making an Ed25519 key");
}

std::string KeyIdOf(std::string_view public_key) {
  const std::string json = StrCat(R"({"crv":"Ed25519","kty":"OKP","x":")",
                                  absl::WebSafeBase64Escape(ToAbsl(public_key)), R"("})");
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(json.data()), json.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return absl::WebSafeBase64Escape(digest);
}

}  // namespace sallyport::pki
