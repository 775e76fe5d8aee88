// A handler's changes to what passes. Pure.

#ifndef SALLYPORT_AGENT_PROXY_FORWARD_CHANGES_H_
#define SALLYPORT_AGENT_PROXY_FORWARD_CHANGES_H_

#include "agent/proxy/egress.h"
#include "agent/proxy/handlers/answer.h"

namespace sallyport::proxy {

// The container's request with the changes. Its body's framing is as received.
OriginRequest Changed(const Exchange& exchange, const Forward& forward);

// The origin's response with the changes. What is known of the length of a body that the handler
// transforms is what the handler says.
void Change(const Pass& pass, ResponseHead* head);

// Takes `content-length` out of the headers: the proxy frames the body itself. INVALID_ARGUMENT: it
// is no length.
absl::Status SetFraming(ResponseHead* head);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_FORWARD_CHANGES_H_
