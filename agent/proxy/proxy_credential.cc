#include "agent/proxy/proxy_credential.h"

#include <openssl/mem.h>

#include <algorithm>

#include "absl/strings/escaping.h"
#include "agent/proxy/http/characters.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

constexpr std::string_view kName = "proxy-authorization";
constexpr std::string_view kScheme = "Basic ";

}  // namespace

ProxyCredential::ProxyCredential(std::string_view container_id, std::string_view token)
    : expected_(absl::Base64Escape(StrCat(container_id, ":", token))) {}

// Compared as it is sent: every client encodes it in the one way of RFC 4648, and nothing has to be
// decoded that a stranger wrote.
ProxyCredential::Shown ProxyCredential::In(const Headers& headers) const {
  const std::string* const field = headers.Find(kName);
  if (field == nullptr) return Shown::kNothing;
  std::string_view shown = *field;
  if (headers.Count(kName) != 1 || !StartsWithIgnoreCase(shown, kScheme)) return Shown::kWrong;
  shown.remove_prefix(kScheme.size());
  shown.remove_prefix(std::min(shown.find_first_not_of(' '), shown.size()));
  const bool right = shown.size() == expected_.size() &&
                     CRYPTO_memcmp(shown.data(), expected_.data(), expected_.size()) == 0;
  return right ? Shown::kRight : Shown::kWrong;
}

}  // namespace sallyport::proxy
