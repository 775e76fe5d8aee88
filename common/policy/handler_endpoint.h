// Where a handler listens, and what it speaks there.

#ifndef SALLYPORT_COMMON_POLICY_HANDLER_ENDPOINT_H_
#define SALLYPORT_COMMON_POLICY_HANDLER_ENDPOINT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace sallyport {

// A value.
struct HandlerEndpoint {
  enum class Protocol {
    kGrpc,  // handler.proto
    kHttp,  // A plain web server: HTTP/1.1.
  };
  Protocol protocol = Protocol::kGrpc;
  bool tls = false;
  std::string host;  // Name or address, no brackets. Empty: a Unix socket.
  uint16_t port = 0;
  std::string path;  // Of the Unix socket; absolute.
  // As registered, in canonical form: the same endpoint is the same text.
  std::string text;

  bool is_unix() const { return host.empty(); }

  // The forms of policy.proto. INVALID_ARGUMENT, without the field's path, with what to write
  // instead.
  static absl::StatusOr<HandlerEndpoint> Parse(std::string_view text);
};

// "gRPC" or "HTTP".
std::string_view ProtocolName(HandlerEndpoint::Protocol protocol);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_HANDLER_ENDPOINT_H_
