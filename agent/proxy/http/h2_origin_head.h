// Heads between our model and HTTP/2 with an origin (RFC 9113 section 8.3).

#ifndef SALLYPORT_AGENT_PROXY_HTTP_H2_ORIGIN_HEAD_H_
#define SALLYPORT_AGENT_PROXY_HTTP_H2_ORIGIN_HEAD_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "agent/proxy/http/h2_stream.h"
#include "agent/proxy/http/message.h"

namespace sallyport::proxy {

// `scheme` is "http" or "https". A request for a WebSocket becomes an extended CONNECT (RFC 8441).
// Fields that belong to a connection, to framing or to HTTP/1's WebSockets are left out, and "te:
// trailers" and "expect" are written from `head`'s flags. REQUIRES: CheckRequest.
Headers RequestFields(const RequestHead& head, std::string_view authority_text,
                      std::string_view scheme);

// What is asked for, as far as it counts for the answer.
struct AskedFor {
  bool head = false;  // HEAD.
  bool websocket = false;
};
// The body of an answer that does not end with its head is kLength or kChunked. 2xx to a request
// for a WebSocket is a 101 that agrees. INVALID_ARGUMENT: the origin broke the rules.
absl::StatusOr<ResponseHead> ResponseOf(H2Head head, AskedFor asked_for);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_H2_ORIGIN_HEAD_H_
