#include "agent/proxy/http/websocket_key.h"

#include <openssl/rand.h>
#include <openssl/sha.h>

#include <array>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"

namespace sallyport::proxy {
namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

template <size_t size>
std::string Base64(const std::array<uint8_t, size>& bytes) {
  return absl::Base64Escape(absl::string_view(reinterpret_cast<const char*>(bytes.data()), size));
}

}  // namespace

std::string MakeWebSocketKey() {
  std::array<uint8_t, 16> key;
  RAND_bytes(key.data(), key.size());
  return Base64(key);
}

std::string WebSocketAccept(std::string_view key) {
  const std::string text = std::string(key).append(kGuid);
  std::array<uint8_t, SHA_DIGEST_LENGTH> digest;
  SHA1(reinterpret_cast<const uint8_t*>(text.data()), text.size(), digest.data());
  return Base64(digest);
}

}  // namespace sallyport::proxy
