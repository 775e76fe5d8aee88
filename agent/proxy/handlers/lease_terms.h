// For which further requests a handler's decision holds. Pure.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_LEASE_TERMS_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_LEASE_TERMS_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/sallyport/v1/handler.pb.h"

namespace sallyport::proxy {

struct LeaseTerms {
  std::chrono::nanoseconds ttl{0};   // 1 ms to 1 h.
  uint32_t max_uses = 0;             // 0: any number.
  std::vector<std::string> methods;  // Empty: that of the request that was answered.
  std::string path_prefix;           // Begins with "/". Empty: the path of that request alone.
};

// INVALID_ARGUMENT, with a sentence for the operator: a time out of bounds; more than 16 methods,
// or one that is no token of at most 32 bytes; a prefix that does not begin with "/", has a query,
// is longer than 8 KiB, or is not plain.
absl::StatusOr<LeaseTerms> ValidateLease(const v1::Lease& message);

// Whether servers agree on what the path of a request target means: it begins with "/" and has no
// dot segments (with parameters either), no empty segment but the last, no `\`, and no encoded
// slash, backslash or dot.
bool IsPlainPath(std::string_view path);

// A target without its query.
std::string_view PathOf(std::string_view target);

// Whether `path` is `prefix`, or lies below it: "/a" and "/a/" have "/a/b" below them and not
// "/ab". REQUIRES: both are plain.
bool LiesBelow(std::string_view path, std::string_view prefix);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_LEASE_TERMS_H_
