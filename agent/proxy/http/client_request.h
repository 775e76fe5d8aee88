// What a request has to be like before it is sent to an origin.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_CLIENT_REQUEST_H_
#define SALLYPORT_AGENT_PROXY_HTTP_CLIENT_REQUEST_H_

#include <string_view>

#include "absl/status/status.h"
#include "agent/proxy/http/message.h"

namespace sallyport::proxy {

// Interim answers that an origin may give to one request.
inline constexpr int kMaxInterimHeads = 16;

// INVALID_ARGUMENT: a method, target, host or framing that cannot be sent.
absl::Status CheckRequest(const RequestHead& head, std::string_view authority_text);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_CLIENT_REQUEST_H_
