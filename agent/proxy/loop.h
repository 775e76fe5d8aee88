// Requests that go round through agents without end: a handler or an origin that calls back.

#ifndef SALLYPORT_AGENT_PROXY_LOOP_H_
#define SALLYPORT_AGENT_PROXY_LOOP_H_

#include "agent/proxy/http/message.h"

namespace sallyport::proxy {

// How many agents a request may pass. Each adds an element "sallyport" to `cdn-loop` (RFC 8586).
inline constexpr int kMaxHops = 8;

// Whether the request has passed that many already.
bool HasGoneRound(const Headers& headers);
void AddHop(Headers* headers);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_LOOP_H_
