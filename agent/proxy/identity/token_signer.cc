#include "agent/proxy/identity/token_signer.h"

#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

// `text` is UTF-8: it comes from messages of protobuf.
std::string JsonText(std::string_view text) {
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      json.push_back('\\');
      json.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(&json, "\\u%04x", static_cast<unsigned>(c));
    } else {
      json.push_back(c);
    }
  }
  return json + "\"";
}

}  // namespace

absl::StatusOr<std::shared_ptr<const TokenSigner>> TokenSigner::Create(std::string_view seed,
                                                                       std::string_view key_id,
                                                                       std::string issuer) {
  ASSIGN_OR_RETURN(const Ed25519Key key, Ed25519Key::FromSeed(seed));
  const std::string header =
      StrCat(R"({"alg":"EdDSA","kid":)", JsonText(key_id), R"(,"typ":"JWT"})");
  return std::shared_ptr<const TokenSigner>(
      new TokenSigner(key, Base64Url(header), std::move(issuer)));
}

std::string TokenSigner::Sign(const TokenClaims& claims) const {
  const std::string payload =
      StrCat(R"({"iss":)", JsonText(issuer_), R"(,"sub":)", JsonText(claims.container_id),
             R"(,"aud":)", JsonText(claims.audience), R"(,"iat":)", claims.issued_at, R"(,"nbf":)",
             claims.issued_at, R"(,"exp":)", claims.issued_at + claims.ttl.count(), R"(,"class":)",
             JsonText(claims.class_name), R"(,"handler":)", JsonText(claims.handler), "}");
  return CompactJws(key_, header_, payload);
}

}  // namespace sallyport::proxy
