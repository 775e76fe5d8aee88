// A handler's answer, checked. Pure.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_ANSWER_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_ANSWER_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/proxy/http/message.h"
#include "common/net/host.h"
#include "proto/sallyport/v1/handler.pb.h"

namespace sallyport::proxy {

// Header names are in lower case; values are without surrounding white space.
struct Respond {
  int status = 0;   // 200 to 599.
  Headers headers;  // At most one content-length, and that a number.
};

// Changes to a request. Empty or absent: as received.
struct Forward {
  std::string method;
  std::string scheme;  // "http" or "https"; never lower than the request's.
  std::optional<Authority> authority;
  std::string path;  // Begins with "/".
  Headers set_headers;
  std::vector<std::string> remove_headers;
};

// INVALID_ARGUMENT, with a sentence for the operator that names the field at fault and quotes no
// value: what handler.proto forbids, and also
//   - content-length and host among a Forward's `set_headers`, because the proxy frames and
//   addresses requests
//   - content-length among trailers, and one that is not a number or stands twice
//   - the method CONNECT
//   - more than 60 KiB or 256 headers, a method above 32 bytes, a path above 8 KiB
absl::StatusOr<Respond> ValidateRespond(const v1::Respond& message);
// `scheme` is the request's: "http" or "https".
absl::StatusOr<Forward> ValidateForward(const v1::Forward& message, std::string_view scheme);
absl::StatusOr<Headers> ValidateTrailers(const v1::End& message);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_ANSWER_H_
