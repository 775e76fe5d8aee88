// The protocol of handlers that are plain web servers (docs/http-handlers.md). Pure.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_HTTP_PROTOCOL_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_HTTP_PROTOCOL_H_

#include <optional>

#include "absl/status/statusor.h"
#include "agent/proxy/handlers/lease_terms.h"
#include "agent/proxy/http/message.h"
#include "proto/sallyport/v1/handler.pb.h"

namespace sallyport::proxy {

// The status by which a web server says that the request is to be sent on.
inline constexpr int kForwardStatus = 299;

// The request as the web server gets it: in absolute form, with the context in `sallyport-*`
// headers, and without framing. `start` has no `sallyport-*` headers of its own. Whoever sends it
// puts `start.authority` into Host.
RequestHead HttpRequestOf(const v1::RequestStart& start);

// What an answer of status 299 says; yet to be validated (answer.h). INVALID_ARGUMENT, with a
// sentence for the operator: `sallyport-forward` is not there, or a `sallyport-*` header is
// unknown, stands twice, or cannot be read.
absl::StatusOr<v1::Forward> ForwardOf(const Headers& headers);

// What an answer of any other status says to the proxy.
struct LeaseOrders {
  std::optional<LeaseTerms> lease;
  bool revoke_leases = false;
};
// Takes them out of the answer's headers. Errors as of ForwardOf, and of ValidateLease.
absl::StatusOr<LeaseOrders> TakeLeaseOrders(Headers* headers);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_HTTP_PROTOCOL_H_
