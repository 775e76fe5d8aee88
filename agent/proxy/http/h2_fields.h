// Header fields on their way into HTTP/2.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_H2_FIELDS_H_
#define SALLYPORT_AGENT_PROXY_HTTP_H2_FIELDS_H_

#include <string_view>

#include "agent/proxy/http/message.h"

namespace sallyport::proxy {

// Whether HTTP/2 has no such field because it is about the connection (RFC 9113 section 8.2.2).
bool IsConnectionSpecific(std::string_view name);

// Appends `fields` to a header list that begins with its pseudo-header fields. Leaves out what
// HTTP/2 has not, what only whoever makes the list may say (host, te, content-length), and what is
// no legal header.
void AppendH2Fields(const Headers& fields, Headers* list);
void AppendContentLength(uint64_t length, Headers* list);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_H2_FIELDS_H_
