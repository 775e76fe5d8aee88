// Strict HTTP/1.1 heads (RFC 9112): anything that two implementations may read in two ways is
// refused.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_H1_PARSE_H_
#define SALLYPORT_AGENT_PROXY_HTTP_H1_PARSE_H_

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "agent/proxy/http/message.h"
#include "agent/proxy/limits.h"

namespace sallyport::proxy {

struct H1Limits {
  uint32_t head_bytes = 60 * 1024;         // Else 431.
  uint32_t request_line_bytes = 8 * 1024;  // Else 414.
  uint32_t header_count = 100;             // Else 431.
  uint32_t trailer_bytes = 16 * 1024;
  uint32_t chunk_extension_bytes = 16 * 1024;  // In one body.
  bool connect = false;                        // CONNECT is read, as a proxy is asked it; else 405.
};

// A tunnel is asked for (RFC 9110 section 9.3.6): `authority` has a port, there is no body, and
// `target` is empty. Only where H1Limits or ParseH2Request let it be read.
inline bool IsConnect(const RequestHead& head) { return head.method == "CONNECT"; }

struct NeedMore {};
// What the sender did wrong. `status` is what a client is to be told (400, 405, 414, 431, 501,
// 505; 503: not the sender is at fault, there is no room).
struct BadMessage {
  int status = 400;
  std::string detail;  // For the operator; may quote nothing of the message but its structure.
  std::optional<Limit> limit = {};  // Which it is beyond.
};
template <typename Head>
struct ParsedHead {
  Head head;
  size_t consumed = 0;  // Bytes of the head, its final CRLF included.
};

// `bytes` is everything received so far that is not consumed. Parsing is resumed from the beginning
// on each call; callers call again only when a new LF has come in.
std::variant<NeedMore, BadMessage, ParsedHead<RequestHead>> ParseRequestHead(
    std::string_view bytes, const H1Limits& limits);
// `request_method` decides whether there is a body (HEAD). 1xx heads are returned as they are,
// kNone.
std::variant<NeedMore, BadMessage, ParsedHead<ResponseHead>> ParseResponseHead(
    std::string_view bytes, std::string_view request_method, const H1Limits& limits);

// Serialised heads. `headers` must hold no framing headers; content-length or transfer-encoding is
// written from `framing`, and connection from `keep_alive`. Request: `authority_text` becomes Host,
// the first header.
std::string SerializeRequestHead(const RequestHead& head, std::string_view authority_text,
                                 const Headers& headers, BodyFraming framing,
                                 uint64_t content_length);
std::string SerializeResponseHead(int status, std::string_view reason, const Headers& headers,
                                  BodyFraming framing, uint64_t content_length, bool keep_alive);
// "OK", "Not Found"; empty if unknown.
std::string_view ReasonPhrase(int status);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_H1_PARSE_H_
