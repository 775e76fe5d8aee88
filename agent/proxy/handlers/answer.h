// A handler's answer, checked. Pure.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_ANSWER_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_ANSWER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/proxy/handlers/lease_terms.h"
#include "agent/proxy/http/message.h"
#include "common/net/host.h"
#include "proto/sallyport/v1/handler.pb.h"

namespace sallyport::proxy {

// Header names are in lower case; values are without surrounding white space.
struct Respond {
  int status = 0;   // 200 to 599.
  Headers headers;  // At most one content-length, and that a number.
  std::optional<LeaseTerms> lease;
  bool revoke_leases = false;
};

// Changes to a request. Empty or absent: as received.
struct Forward {
  std::string method;
  std::string scheme;  // "http" or "https"; never lower than the request's.
  std::optional<Authority> authority;
  std::string path;  // Begins with "/".
  Headers set_headers;
  std::vector<std::string> remove_headers;
  bool inspect_response = false;
  bool transform_request = false;
  std::optional<uint64_t> content_length;  // Of the transformed body.
  bool send_request_id = false;
  std::optional<LeaseTerms> lease;  // Then neither inspected nor transformed.
  bool revoke_leases = false;
};

// Changes to an origin's response. 0 or absent: as received.
struct Pass {
  int status = 0;
  Headers set_headers;  // As in Respond; a content-length only with `transform_body`.
  std::vector<std::string> remove_headers;
  bool transform_body = false;
};

// INVALID_ARGUMENT, with a sentence for the operator that names the field at fault and quotes no
// value: what handler.proto forbids, and also
//   - content-length and host among a Forward's `set_headers`, because the proxy frames and
//   addresses requests
//   - content-length among trailers, and one that is not a number or stands twice
//   - the method CONNECT
//   - a lease with a forward that is inspected or transformed
//   - more than 60 KiB or 256 headers, a method above 32 bytes, a path above 8 KiB
absl::StatusOr<Respond> ValidateRespond(const v1::Respond& message);
// `scheme` is the request's: "http" or "https".
absl::StatusOr<Forward> ValidateForward(const v1::Forward& message, std::string_view scheme);
// In the place of an origin's response, `lease` is illegal too.
absl::StatusOr<Respond> ValidateReplacement(const v1::Respond& message);
absl::StatusOr<Pass> ValidatePass(const v1::PassResponse& message);
absl::StatusOr<Headers> ValidateTrailers(const v1::End& message);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_ANSWER_H_
