// "HTTP/1.1" as it stands in request and status lines (RFC 9112 section 2.3).

#ifndef SALLYPORT_AGENT_PROXY_HTTP_VERSION_H_
#define SALLYPORT_AGENT_PROXY_HTTP_VERSION_H_

#include <string_view>

#include "agent/proxy/http/characters.h"

namespace sallyport::proxy {

inline constexpr size_t kVersionBytes = 8;

struct VersionResult {
  enum Status { kNeedMore, kBad, kUnsupported, kOk };
  Status status = kNeedMore;
  int minor = 0;
};

// Reads the first kVersionBytes. Bad bytes are told as soon as they are there.
inline VersionResult ParseVersion(std::string_view bytes) {
  constexpr std::string_view kPattern = "HTTP/d.d";
  for (size_t i = 0; i < kVersionBytes; ++i) {
    if (i == bytes.size()) return {VersionResult::kNeedMore};
    const bool fits = kPattern[i] == 'd' ? IsDigit(bytes[i]) : bytes[i] == kPattern[i];
    if (!fits) return {VersionResult::kBad};
  }
  const bool supported = bytes[5] == '1' && (bytes[7] == '0' || bytes[7] == '1');
  if (!supported) return {VersionResult::kUnsupported};
  return {VersionResult::kOk, bytes[7] - '0'};
}

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_VERSION_H_
