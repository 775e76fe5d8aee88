// Header and trailer sections: lines of "name: value" (RFC 9112 section 5).

#ifndef SALLYPORT_AGENT_PROXY_HTTP_FIELD_LINES_H_
#define SALLYPORT_AGENT_PROXY_HTTP_FIELD_LINES_H_

#include <optional>
#include <string_view>
#include <variant>

#include "agent/proxy/http/h1_parse.h"

namespace sallyport::proxy {

// Parses lines up to and with the empty one into `headers`. The answer is how many bytes they take.
// A section of more than `max_bytes` or `max_count` lines is bad with status 431.
std::variant<NeedMore, BadMessage, size_t> ParseFieldLines(std::string_view bytes, size_t max_bytes,
                                                           size_t max_count, Headers* headers);

// What a head's fields say about its body and its connection.
struct FramingFields {
  int host_count = 0;
  const std::string* host = nullptr;
  std::optional<uint64_t> content_length;
  bool chunked = false;
  bool close = false;            // "Connection: close".
  bool keep_alive = false;       // "Connection: keep-alive".
  bool upgrade = false;          // "Connection: upgrade".
  bool legal_connection = true;  // Connection is a list of tokens.
  int upgrade_count = 0;
  bool websocket = false;  // Upgrade is "websocket" and nothing else; for the last of several.
  bool expect_continue = false;

  // Whether the sender wants the connection to become a WebSocket, and to become nothing else.
  bool UpgradesToWebSocket() const {
    return upgrade && legal_connection && upgrade_count == 1 && websocket;
  }
};

// Refuses whatever could be read in two ways: a second Content-Length even if equal, lists of
// lengths, codings other than one "chunked", length and coding together, a coding in HTTP/1.0,
// names that some programs take for these.
std::variant<BadMessage, FramingFields> ReadFramingFields(const Headers& headers,
                                                          int minor_version);

// Digits without sign or leading zeros, at most 2^63 - 1.
std::optional<uint64_t> ParseContentLength(std::string_view text);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_FIELD_LINES_H_
