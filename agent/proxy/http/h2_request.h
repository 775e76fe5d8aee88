// What a header list of HTTP/2 asks for (RFC 9113 section 8, RFC 8441).

#ifndef SALLYPORT_AGENT_PROXY_HTTP_H2_REQUEST_H_
#define SALLYPORT_AGENT_PROXY_HTTP_H2_REQUEST_H_

#include <variant>

#include "agent/proxy/http/h1_parse.h"
#include "agent/proxy/http/h2_stream.h"

namespace sallyport::proxy {

// BadMessage with status 0: the message is malformed, and its stream is to be reset with
// PROTOCOL_ERROR (RFC 9113 section 8.1.1); else the status to answer with. An extended CONNECT for
// a WebSocket becomes a GET that asks for one, with a Sec-WebSocket-Key of our own. `:scheme`
// becomes `absolute_scheme`: whether it is the connection's is looked at where destinations are.
// `connect_to_proxy`: an ordinary CONNECT (RFC 9113 section 8.5) is read, too.
std::variant<RequestHead, BadMessage> ParseH2Request(H2Head head, bool connect_to_proxy = false);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_H2_REQUEST_H_
