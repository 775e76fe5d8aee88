// One model of requests and responses, whatever the wire's version.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_MESSAGE_H_
#define SALLYPORT_AGENT_PROXY_HTTP_MESSAGE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/net/host.h"

namespace sallyport::proxy {

struct Header {
  std::string name;   // As received; compared without case.
  std::string value;  // Without surrounding white space.
};

// Header fields in order. Names compare without case.
class Headers {
 public:
  void Add(std::string_view name, std::string_view value);
  // Replaces all of that name by one at the end.
  void Set(std::string_view name, std::string_view value);
  void Remove(std::string_view name);
  template <typename Predicate>
  void RemoveIf(Predicate predicate) {
    std::erase_if(fields_, predicate);
  }
  void Reserve(size_t count) { fields_.reserve(count); }
  // First value, or null.
  const std::string* Find(std::string_view name) const;
  size_t Count(std::string_view name) const;
  // Whether the comma-separated list `name` has `token` (RFC 9110 section 5.6.1).
  bool HasToken(std::string_view name, std::string_view token) const;
  bool empty() const { return fields_.empty(); }
  void clear() { fields_.clear(); }
  const std::vector<Header>& fields() const { return fields_; }

 private:
  std::vector<Header> fields_;
};

// Removes connection, the headers that it names (never host, content-length, transfer-encoding,
// authorization, cookie), keep-alive, proxy-connection, proxy-authorization, te, trailer,
// transfer-encoding, upgrade, http2-settings. RFC 9110 section 7.6.1.
void RemoveHopByHop(Headers* headers);

// Whether the name is a token and the value has no CR, LF or NUL (RFC 9110 sections 5.1, 5.5).
bool IsLegalHeader(std::string_view name, std::string_view value);
bool IsToken(std::string_view text);

// How a body's end is known.
enum class BodyFraming : uint8_t {
  kNone,    // No body.
  kLength,  // Exactly `content_length` bytes.
  kChunked,
  kUntilClose,  // Responses only.
};

struct RequestHead {
  std::string method;
  // Path and query as received; begins with "/", or is "*" (OPTIONS only).
  std::string target;
  // From the absolute-form target or Host; both agree if both are given.
  Authority authority;
  // "http" or "https" of an absolute-form target; empty: origin-form.
  std::string absolute_scheme;
  int minor_version = 1;  // HTTP/1.minor.
  Headers headers;        // As received, host and framing headers included.
  BodyFraming framing = BodyFraming::kNone;
  uint64_t content_length = 0;  // kLength only.
  bool keep_alive = true;       // What the client asks for.
  bool expect_continue = false;
  bool te_trailers = false;  // "te: trailers", which in HTTP/2 is not among the headers.
  // A WebSocket is asked for in place of an answer (RFC 6455 section 4.1): GET, HTTP/1.1, without
  // body, and "websocket" alone in Upgrade. Any other upgrade is none.
  bool websocket = false;
};

struct ResponseHead {
  int status = 0;
  std::string reason;  // May be empty.
  int minor_version = 1;
  Headers headers;
  BodyFraming framing = BodyFraming::kNone;
  uint64_t content_length = 0;
  bool keep_alive = true;  // Whether the connection may carry another exchange.
  // Even behind a body of kLength, which HTTP/1 cannot have.
  bool may_have_trailers = false;
  bool websocket = false;  // A 101 that agrees to a WebSocket, and says nothing else besides.
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_MESSAGE_H_
