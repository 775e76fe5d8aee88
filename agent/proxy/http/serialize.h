// Heads, chunk sizes and trailers as text, appended to what is to be written.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_SERIALIZE_H_
#define SALLYPORT_AGENT_PROXY_HTTP_SERIALIZE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/proxy/http/message.h"

namespace sallyport::proxy {

// In all of these, framing fields, Connection, Upgrade, and fields that are no legal headers are
// left out of `headers`: nobody but the arguments decides where a message, or HTTP itself, ends.

// REQUIRES: method, target and `authority_text` have been checked: no white space, no control
// bytes. With `head.absolute_scheme` the target is in absolute form, as a proxy is asked.
void AppendRequestHead(const RequestHead& head, std::string_view authority_text,
                       const Headers& headers, BodyFraming framing, uint64_t content_length,
                       std::string* out);
// A 101 that agrees to a WebSocket.
void AppendSwitchToWebSocket(std::string_view reason, const Headers& headers, std::string* out);
// `connection` becomes Connection, unless it is empty.
void AppendResponseHead(int status, std::string_view reason, const Headers& headers,
                        BodyFraming framing, uint64_t content_length, std::string_view connection,
                        std::string* out);
// With the empty line after them. Leaves out what may not be a trailer.
void AppendTrailers(const Headers& trailers, std::string* out);
// Fields that decide about framing, routing, access or how content is read (RFC 9110
// section 6.5.1).
bool IsForbiddenTrailer(std::string_view name);
// Lower case.
void AppendNumber(uint64_t number, int base, std::string* out);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_SERIALIZE_H_
