#include "agent/proxy/http/h2_request.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "agent/proxy/http/characters.h"
#include "agent/proxy/http/field_lines.h"
#include "agent/proxy/http/h2_fields.h"
#include "agent/proxy/http/websocket_key.h"

namespace sallyport::proxy {
namespace {

constexpr size_t kMaxMethodBytes = 64;
constexpr size_t kMaxTargetBytes = 8 * 1024;

BadMessage Malformed(const char* detail) { return BadMessage{0, detail}; }
BadMessage Bad(const char* detail) { return BadMessage{400, detail}; }

struct PseudoFields {
  const std::string* method = nullptr;
  const std::string* scheme = nullptr;
  const std::string* path = nullptr;
  const std::string* authority = nullptr;
  const std::string* protocol = nullptr;
};

// nghttp2 has refused much of what is refused here; who reads this need not know how much.
std::variant<BadMessage, PseudoFields> ReadPseudoFields(const Headers& fields) {
  PseudoFields pseudo;
  bool regular_seen = false;
  for (const Header& field : fields.fields()) {
    if (!field.name.starts_with(':')) {
      regular_seen = true;
      continue;
    }
    if (regular_seen) return Malformed("a pseudo-header field behind a regular one");
    const std::string** place = field.name == ":method"      ? &pseudo.method
                                : field.name == ":scheme"    ? &pseudo.scheme
                                : field.name == ":path"      ? &pseudo.path
                                : field.name == ":authority" ? &pseudo.authority
                                : field.name == ":protocol"  ? &pseudo.protocol
                                                             : nullptr;
    if (place == nullptr) return Malformed("an unknown pseudo-header field");
    if (*place != nullptr) return Malformed("a pseudo-header field twice");
    *place = &field.value;
  }
  if (pseudo.method == nullptr) return Malformed("no :method");
  return pseudo;
}

bool IsLegalField(const Header& field) {
  const bool upper = std::ranges::any_of(field.name, [](char c) { return c >= 'A' && c <= 'Z'; });
  return IsToken(field.name) && !upper && FieldTextLength(field.value) == field.value.size() &&
         TrimWhiteSpace(field.value).size() == field.value.size();
}

// What the regular fields say about the message. Host is left among them.
struct RegularFields {
  const std::string* host = nullptr;
  std::optional<uint64_t> content_length;
  bool expect_continue = false;
  bool te_trailers = false;
};

std::variant<BadMessage, RegularFields> ReadRegularFields(const Headers& fields) {
  RegularFields regular;
  for (const Header& field : fields.fields()) {
    const std::string_view name = field.name;
    if (name.starts_with(':')) continue;
    if (!IsLegalField(field)) return Malformed("a field with bytes that may not be there");
    if (IsConnectionSpecific(name)) return Malformed("a field about the connection");
    if (name == "host") {
      if (regular.host != nullptr) return Malformed("more than one host");
      regular.host = &field.value;
    } else if (name == "content-length") {
      if (regular.content_length.has_value()) return Malformed("more than one content-length");
      regular.content_length = ParseContentLength(field.value);
      if (!regular.content_length.has_value()) return Malformed("a malformed content-length");
    } else if (name == "te") {
      if (!EqualsIgnoreCase(field.value, "trailers")) return Malformed("te other than trailers");
      regular.te_trailers = true;
    } else if (name == "expect") {
      if (regular.expect_continue || !EqualsIgnoreCase(field.value, "100-continue"))
        return BadMessage{417, "an expect other than one 100-continue"};
      regular.expect_continue = true;
    } else if (name == "content_length" || name == "transfer_encoding") {
      return Bad("a field whose name some programs take for one about framing");
    }
  }
  return regular;
}

uint16_t EffectivePort(const Authority& authority, std::string_view scheme) {
  return authority.port.value_or(scheme == "https" ? 443 : 80);
}

// From :authority, or host; both name the same if both are there.
std::optional<BadMessage> Locate(const std::string* authority, const std::string* host,
                                 RequestHead* head) {
  if (authority == nullptr && host == nullptr) return Malformed("neither :authority nor host");
  absl::StatusOr<Authority> first = Authority::Parse(authority != nullptr ? *authority : *host);
  if (!first.ok()) return Bad(authority != nullptr ? "a malformed :authority" : "a malformed host");
  head->authority = *std::move(first);
  if (authority == nullptr || host == nullptr) return std::nullopt;
  const absl::StatusOr<Authority> second = Authority::Parse(*host);
  if (!second.ok() || !(second->host == head->authority.host) ||
      EffectivePort(*second, head->absolute_scheme) !=
          EffectivePort(head->authority, head->absolute_scheme)) {
    return Malformed(":authority and host differ");
  }
  return std::nullopt;
}

std::optional<BadMessage> CheckTarget(const RequestHead& head) {
  const std::string_view target = head.target;
  if (target.size() > kMaxTargetBytes) return BadMessage{414, "the :path is too long"};
  if (target == "*") {
    if (head.method != "OPTIONS") return Bad("\"*\" without OPTIONS");
    return std::nullopt;
  }
  if (!target.starts_with('/')) return Bad("a :path that is not a path");
  if (TargetLength(target) != target.size()) return Bad("a byte in :path that may not be there");
  return std::nullopt;
}

// An ordinary CONNECT has :authority alone (RFC 9113 section 8.5).
std::variant<RequestHead, BadMessage> TunnelRequest(const PseudoFields& pseudo,
                                                    const RegularFields& regular, H2Head head) {
  if (pseudo.scheme != nullptr || pseudo.path != nullptr)
    return Malformed("a CONNECT with :scheme or :path");
  if (head.ends_stream) return Bad("a tunnel that ends before it begins");
  if (regular.content_length.has_value()) return Bad("a CONNECT with a body");
  RequestHead request;
  request.method = *pseudo.method;
  if (std::optional<BadMessage> bad = Locate(pseudo.authority, regular.host, &request))
    return *std::move(bad);
  if (pseudo.authority == nullptr || !request.authority.port.has_value())
    return Bad("an :authority of CONNECT that is not HOST:PORT");
  head.fields.RemoveIf([](const Header& field) { return field.name.starts_with(':'); });
  request.headers = std::move(head.fields);
  return request;
}

// CONNECT to an origin is for WebSockets only.
std::optional<BadMessage> CheckConnect(const std::string* protocol, bool ends_stream) {
  if (protocol == nullptr) return BadMessage{405, "the method is not supported"};
  if (!EqualsIgnoreCase(*protocol, "websocket"))
    return BadMessage{501, "a :protocol other than websocket"};
  if (ends_stream) return Bad("a WebSocket that ends before it begins");
  return std::nullopt;
}

void BecomeWebSocket(RequestHead* head) {
  head->method = "GET";
  head->websocket = true;
  head->headers.Set("sec-websocket-key", MakeWebSocketKey());
}

std::optional<BadMessage> CheckMethod(std::string_view method) {
  if (!IsToken(method) || method.size() > kMaxMethodBytes) return Bad("the method is not a token");
  for (const std::string_view refused : {"TRACE", "TRACK"}) {
    if (EqualsIgnoreCase(method, refused)) return BadMessage{405, "the method is not supported"};
  }
  return std::nullopt;
}

void SetFraming(const RegularFields& regular, bool ends_stream, RequestHead* head) {
  if (ends_stream || head->websocket) return;
  head->framing = BodyFraming::kChunked;
  head->expect_continue = regular.expect_continue;
  if (!regular.content_length.has_value()) return;
  head->framing = BodyFraming::kLength;
  head->content_length = *regular.content_length;
}

}  // namespace

std::variant<RequestHead, BadMessage> ParseH2Request(H2Head head, bool connect_to_proxy) {
  if (head.too_large) return BadMessage{431, "the header list is too large"};
  const auto read_pseudo = ReadPseudoFields(head.fields);
  if (const auto* bad = std::get_if<BadMessage>(&read_pseudo)) return *bad;
  const auto read_regular = ReadRegularFields(head.fields);
  if (const auto* bad = std::get_if<BadMessage>(&read_regular)) return *bad;
  const auto& pseudo = std::get<PseudoFields>(read_pseudo);
  const auto& regular = std::get<RegularFields>(read_regular);
  if (head.ends_stream && regular.content_length.value_or(0) > 0)
    return Malformed("a content-length without content");

  RequestHead request;
  request.method = *pseudo.method;
  if (std::optional<BadMessage> bad = CheckMethod(request.method)) return *std::move(bad);
  const bool connect = request.method == "CONNECT";
  if (connect && connect_to_proxy && pseudo.protocol == nullptr)
    return TunnelRequest(pseudo, regular, std::move(head));
  if (connect) {
    std::optional<BadMessage> bad = CheckConnect(pseudo.protocol, head.ends_stream);
    if (bad.has_value()) return *std::move(bad);
  }
  if (!connect && pseudo.protocol != nullptr) return Malformed(":protocol without CONNECT");
  if (pseudo.scheme == nullptr || pseudo.path == nullptr) return Malformed("no :scheme or :path");
  request.absolute_scheme = *pseudo.scheme;
  request.target = *pseudo.path;
  if (std::optional<BadMessage> bad = CheckTarget(request)) return *std::move(bad);
  if (std::optional<BadMessage> bad = Locate(pseudo.authority, regular.host, &request))
    return *std::move(bad);
  request.te_trailers = regular.te_trailers;
  head.fields.RemoveIf(
      [](const Header& field) { return field.name.starts_with(':') || field.name == "te"; });
  request.headers = std::move(head.fields);
  if (connect) BecomeWebSocket(&request);
  SetFraming(regular, head.ends_stream, &request);
  return request;
}

}  // namespace sallyport::proxy
