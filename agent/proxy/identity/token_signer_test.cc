#include "agent/proxy/identity/token_signer.h"

#include <gtest/gtest.h>
#include <openssl/curve25519.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_split.h"
#include "agent/proxy/identity/jws.h"

namespace sallyport::proxy {
namespace {

std::string FromBase64Url(const std::string& text) {
  std::string bytes;
  EXPECT_TRUE(absl::WebSafeBase64Unescape(text, &bytes)) << text;
  return bytes;
}

// RFC 8037 appendix A.1.
const std::string kSeed = FromBase64Url("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
const std::string kPublicKey = FromBase64Url("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");

const uint8_t* Bytes(const std::string& text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

// Appendix A.4.
TEST(JwsTest, SignsAsTheStandardDoes) {
  const auto key = Ed25519Key::FromSeed(kSeed);
  ASSERT_TRUE(key.ok()) << key.status();
  EXPECT_EQ(CompactJws(*key, Base64Url(R"({"alg":"EdDSA"})"), "Example of Ed25519 signing"),
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-0"
            "9PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
}

TEST(JwsTest, SeedsHaveTheirLength) {
  EXPECT_FALSE(Ed25519Key::FromSeed("").ok());
  EXPECT_FALSE(Ed25519Key::FromSeed(kSeed + "x").ok());
}

TEST(TokenSignerTest, SaysWhoAsks) {
  const auto signer = TokenSigner::Create(kSeed, "key-1", "host-7");
  ASSERT_TRUE(signer.ok()) << signer.status();
  const std::string token = (*signer)->Sign({.container_id = "web-1",
                                             .audience = "https://keys.test/\"\\\x01ü",
                                             .class_name = "agents",
                                             .handler = "keys",
                                             .issued_at = 1'800'000'000,
                                             .ttl = std::chrono::seconds(300)});
  const std::vector<std::string> parts = absl::StrSplit(token, '.');
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(nlohmann::json::parse(FromBase64Url(parts[0])),
            (nlohmann::json{{"alg", "EdDSA"}, {"kid", "key-1"}, {"typ", "JWT"}}));
  EXPECT_EQ(nlohmann::json::parse(FromBase64Url(parts[1])),
            (nlohmann::json{{"iss", "host-7"},
                            {"sub", "web-1"},
                            {"aud", "https://keys.test/\"\\\x01ü"},
                            {"iat", 1'800'000'000},
                            {"nbf", 1'800'000'000},
                            {"exp", 1'800'000'300},
                            {"class", "agents"},
                            {"handler", "keys"}}));
  const std::string message = parts[0] + "." + parts[1];
  const std::string signature = FromBase64Url(parts[2]);
  ASSERT_EQ(signature.size(), static_cast<size_t>(ED25519_SIGNATURE_LEN));
  EXPECT_EQ(ED25519_verify(Bytes(message), message.size(), Bytes(signature), Bytes(kPublicKey)), 1);
}

}  // namespace
}  // namespace sallyport::proxy
