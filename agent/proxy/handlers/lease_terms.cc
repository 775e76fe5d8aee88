#include "agent/proxy/handlers/lease_terms.h"

#include <algorithm>
#include <array>

#include "absl/strings/match.h"
#include "agent/proxy/http/message.h"

namespace sallyport::proxy {
namespace {

constexpr int kMaxMethods = 16;
constexpr size_t kMaxMethodBytes = 32;
constexpr size_t kMaxPrefixBytes = 8 * 1024;
constexpr std::chrono::nanoseconds kMinTtl = std::chrono::milliseconds(1);
constexpr std::chrono::nanoseconds kMaxTtl = std::chrono::hours(1);
constexpr int64_t kMaxTtlSeconds = 3600;

absl::StatusOr<std::chrono::nanoseconds> CheckTtl(const v1::Lease& message) {
  const google::protobuf::Duration& ttl = message.ttl();
  // Looked at in seconds first: a hostile value would overflow.
  if (ttl.seconds() >= 0 && ttl.seconds() <= kMaxTtlSeconds && ttl.nanos() >= 0 &&
      ttl.nanos() < 1'000'000'000) {
    const auto time = std::chrono::seconds(ttl.seconds()) + std::chrono::nanoseconds(ttl.nanos());
    if (time >= kMinTtl && time <= kMaxTtl) return time;
  }
  return absl::InvalidArgumentError("the handler's lease has no ttl from 1 ms to 1 h");
}

// "..;x" is "..", to servers that know parameters of segments.
bool IsDotSegment(std::string_view segment) {
  const std::string_view name = segment.substr(0, segment.find(';'));
  return name == "." || name == "..";
}

}  // namespace

bool IsPlainPath(std::string_view path) {
  if (path.empty() || path[0] != '/') return false;
  if (path.find('\\') != path.npos || path.find("//") != path.npos) return false;
  static constexpr std::array<std::string_view, 3> kEncoded = {"%2f", "%5c", "%2e"};
  for (size_t at = path.find('%'); at != path.npos; at = path.find('%', at + 1)) {
    const std::string_view encoded = path.substr(at, 3);
    if (std::ranges::any_of(kEncoded, [&](std::string_view bad) {
          return absl::EqualsIgnoreCase(absl::string_view(encoded.data(), encoded.size()),
                                        absl::string_view(bad.data(), bad.size()));
        })) {
      return false;
    }
  }
  path.remove_prefix(1);
  while (true) {
    const size_t end = path.find('/');
    if (IsDotSegment(path.substr(0, end))) return false;
    if (end == path.npos) return true;
    path.remove_prefix(end + 1);
  }
}

std::string_view PathOf(std::string_view target) { return target.substr(0, target.find('?')); }

bool LiesBelow(std::string_view path, std::string_view prefix) {
  if (!path.starts_with(prefix)) return false;
  return path.size() == prefix.size() || prefix.back() == '/' || path[prefix.size()] == '/';
}

absl::StatusOr<LeaseTerms> ValidateLease(const v1::Lease& message) {
  LeaseTerms terms;
  const absl::StatusOr<std::chrono::nanoseconds> ttl = CheckTtl(message);
  if (!ttl.ok()) return ttl.status();
  terms.ttl = *ttl;
  terms.max_uses = message.max_uses();
  if (message.methods_size() > kMaxMethods)
    return absl::InvalidArgumentError("the handler's lease has more than 16 methods");
  for (const std::string& method : message.methods()) {
    if (!IsToken(method) || method.size() > kMaxMethodBytes) {
      return absl::InvalidArgumentError(
          "a method of the handler's lease is not a token of at most 32 bytes");
    }
    terms.methods.push_back(method);
  }
  const std::string& prefix = message.path_prefix();
  if (!prefix.empty() && (!IsPlainPath(prefix) || prefix.find_first_of("?#") != prefix.npos ||
                          prefix.size() > kMaxPrefixBytes)) {
    return absl::InvalidArgumentError(
        "the handler's lease has a path_prefix that is not a plain path of at most 8 KiB without a "
        "query");
  }
  terms.path_prefix = prefix;
  return terms;
}

}  // namespace sallyport::proxy
