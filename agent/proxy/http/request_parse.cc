// Request heads: request line, header section, and what they say together.

#include <algorithm>
#include <utility>

#include "agent/proxy/http/characters.h"
#include "agent/proxy/http/field_lines.h"
#include "agent/proxy/http/h1_parse.h"
#include "agent/proxy/http/version.h"

namespace sallyport::proxy {
namespace {

constexpr size_t kMaxMethodBytes = 64;
constexpr std::string_view kLineEnd = "\r\n";

using LineResult = std::variant<NeedMore, BadMessage, size_t>;

// METHOD SP target SP HTTP/1.x CRLF. The answer is the line's length.
LineResult ParseRequestLine(std::string_view bytes, const H1Limits& limits, RequestHead* head) {
  const std::string_view all = bytes.substr(0, limits.request_line_bytes + kLineEnd.size());
  const auto need_more = [&]() -> LineResult {
    if (bytes.size() > all.size()) return BadMessage{414, "the request line is too long"};
    return NeedMore{};
  };

  const size_t method_end = TokenLength(all.substr(0, kMaxMethodBytes + 1));
  if (method_end > kMaxMethodBytes) return BadMessage{400, "the method is too long"};
  if (method_end == all.size()) return need_more();
  if (method_end == 0 || all[method_end] != ' ')
    return BadMessage{400, "the method is not a token"};
  const std::string_view method = all.substr(0, method_end);
  if (method == "PRI") return BadMessage{400, "the preface of HTTP/2"};
  const bool connect = limits.connect && method == "CONNECT";
  for (const std::string_view refused : {"CONNECT", "TRACE", "TRACK"}) {
    if (EqualsIgnoreCase(method, refused) && !connect)
      return BadMessage{405, "the method is not supported"};
  }

  const size_t target_at = method_end + 1;
  const size_t target_length = TargetLength(all.substr(target_at));
  const size_t target_end = target_at + target_length;
  if (target_end == all.size()) return need_more();
  if (all[target_end] != ' ') return BadMessage{400, "a byte in the target that may not be there"};
  if (target_length == 0) return BadMessage{400, "more than one space in the request line"};

  const size_t version_at = target_end + 1;
  const VersionResult version = ParseVersion(all.substr(version_at));
  if (version.status == VersionResult::kBad) return BadMessage{400, "a malformed request line"};
  if (version.status == VersionResult::kNeedMore) return need_more();
  const size_t end = version_at + kVersionBytes;
  for (size_t i = 0; i < kLineEnd.size(); ++i) {
    if (end + i == all.size()) return need_more();
    if (all[end + i] != kLineEnd[i]) return BadMessage{400, "a malformed request line"};
  }
  if (version.status == VersionResult::kUnsupported)
    return BadMessage{505, "not HTTP/1.0 or HTTP/1.1"};

  head->method = method;
  head->target = all.substr(target_at, target_length);
  head->minor_version = version.minor;
  return end + kLineEnd.size();
}

uint16_t EffectivePort(const Authority& authority, std::string_view scheme) {
  return authority.port.value_or(scheme == "https" ? 443 : 80);
}

// Splits an absolute-form target, and leaves its path in head->target (RFC 9112 section 3.2.2).
std::optional<BadMessage> TakeAbsoluteForm(RequestHead* head) {
  const std::string_view target = head->target;
  for (const std::string_view scheme : {"http", "https"}) {
    if (StartsWithIgnoreCase(target, scheme) && target.substr(scheme.size()).starts_with("://")) {
      head->absolute_scheme = scheme;
    }
  }
  if (head->absolute_scheme.empty())
    return BadMessage{400, "a target that is neither a path nor a http URL"};
  const std::string_view rest = target.substr(head->absolute_scheme.size() + 3);
  const size_t authority_end = std::min(rest.find_first_of("/?"), rest.size());
  absl::StatusOr<Authority> authority = Authority::Parse(rest.substr(0, authority_end));
  if (!authority.ok()) return BadMessage{400, "a malformed host in the target"};
  head->authority = *std::move(authority);
  std::string path(rest.substr(authority_end));
  if (path.empty() && head->method == "OPTIONS") {
    path = "*";
  } else if (!path.starts_with('/')) {
    path.insert(0, "/");
  }
  head->target = std::move(path);
  return std::nullopt;
}

// The authority-form target of CONNECT (RFC 9112 section 3.2.3). Host says the same; a client of
// HTTP/1.0 may leave it out, and many leave out its port.
std::optional<BadMessage> LocateTunnel(const FramingFields& fields, RequestHead* head) {
  absl::StatusOr<Authority> authority = Authority::Parse(head->target);
  if (!authority.ok() || !authority->port.has_value())
    return BadMessage{400, "a target of CONNECT that is not HOST:PORT"};
  head->authority = *std::move(authority);
  head->target.clear();
  if (fields.chunked || fields.content_length.value_or(0) > 0)
    return BadMessage{400, "a CONNECT with a body"};
  if (fields.host_count > 1) return BadMessage{400, "more than one Host"};
  if (fields.host_count == 0) {
    if (head->minor_version == 0) return std::nullopt;
    return BadMessage{400, "no Host"};
  }
  const absl::StatusOr<Authority> host = Authority::Parse(*fields.host);
  if (!host.ok()) return BadMessage{400, "a malformed Host"};
  if (!(host->host == head->authority.host) ||
      host->port.value_or(*head->authority.port) != *head->authority.port) {
    return BadMessage{400, "the target's host and Host differ"};
  }
  return std::nullopt;
}

// Fills head->authority from the target and Host.
std::optional<BadMessage> Locate(const FramingFields& fields, RequestHead* head) {
  const bool is_path = head->target.starts_with('/');
  if (head->target == "*" && head->method != "OPTIONS")
    return BadMessage{400, "\"*\" without OPTIONS"};
  if (!is_path && head->target != "*") {
    std::optional<BadMessage> bad = TakeAbsoluteForm(head);
    if (bad.has_value()) return bad;
  }
  if (fields.host_count > 1) return BadMessage{400, "more than one Host"};
  if (fields.host_count == 0) {
    if (head->minor_version == 0 && !head->absolute_scheme.empty()) return std::nullopt;
    return BadMessage{400, "no Host"};
  }
  absl::StatusOr<Authority> host = Authority::Parse(*fields.host);
  if (!host.ok()) return BadMessage{400, "a malformed Host"};
  if (head->absolute_scheme.empty()) {
    head->authority = *std::move(host);
    return std::nullopt;
  }
  if (!(host->host == head->authority.host) ||
      EffectivePort(*host, head->absolute_scheme) !=
          EffectivePort(head->authority, head->absolute_scheme)) {
    return BadMessage{400, "the target's host and Host differ"};
  }
  return std::nullopt;
}

std::optional<BadMessage> Interpret(RequestHead* head) {
  std::variant<BadMessage, FramingFields> read =
      ReadFramingFields(head->headers, head->minor_version);
  if (auto* bad = std::get_if<BadMessage>(&read)) return std::move(*bad);
  const auto& fields = std::get<FramingFields>(read);
  std::optional<BadMessage> bad =
      IsConnect(*head) ? LocateTunnel(fields, head) : Locate(fields, head);
  if (bad.has_value()) return bad;
  if (IsConnect(*head)) {
    // Its end is that of the tunnel.
  } else if (fields.chunked) {
    head->framing = BodyFraming::kChunked;
  } else if (fields.content_length.has_value()) {
    head->framing = BodyFraming::kLength;
    head->content_length = *fields.content_length;
  }
  if (!fields.legal_connection) return BadMessage{400, "a malformed Connection"};
  const bool is_http_1_0 = head->minor_version == 0;
  head->keep_alive = !fields.close && (!is_http_1_0 || fields.keep_alive);
  const bool has_body = fields.chunked || head->content_length > 0;
  head->expect_continue = fields.expect_continue && !is_http_1_0 && has_body;
  head->te_trailers = head->headers.HasToken("te", "trailers");
  head->websocket = fields.UpgradesToWebSocket() && head->method == "GET" && head->keep_alive &&
                    !is_http_1_0 && head->framing == BodyFraming::kNone;
  return std::nullopt;
}

}  // namespace

std::variant<NeedMore, BadMessage, ParsedHead<RequestHead>> ParseRequestHead(
    std::string_view bytes, const H1Limits& limits) {
  std::variant<NeedMore, BadMessage, ParsedHead<RequestHead>> result;
  // One empty line before a request is tolerated (RFC 9112 section 2.2).
  size_t at = 0;
  if (bytes.starts_with('\r')) {
    if (bytes.size() == 1) return result;
    if (bytes[1] == '\n') at = 2;
  }
  auto& parsed = result.emplace<ParsedHead<RequestHead>>();
  RequestHead& head = parsed.head;

  LineResult line = ParseRequestLine(bytes.substr(at), limits, &head);
  if (auto* bad = std::get_if<BadMessage>(&line)) return std::move(*bad);
  if (std::holds_alternative<NeedMore>(line)) return NeedMore{};
  const size_t line_bytes = std::get<size_t>(line);
  at += line_bytes;

  const size_t max_bytes = limits.head_bytes - std::min<size_t>(limits.head_bytes, line_bytes);
  LineResult section =
      ParseFieldLines(bytes.substr(at), max_bytes, limits.header_count, &head.headers);
  if (auto* bad = std::get_if<BadMessage>(&section)) return std::move(*bad);
  if (std::holds_alternative<NeedMore>(section)) return NeedMore{};
  parsed.consumed = at + std::get<size_t>(section);

  std::optional<BadMessage> bad = Interpret(&head);
  if (bad.has_value()) return *std::move(bad);
  return result;
}

}  // namespace sallyport::proxy
