// Response heads: status line, header section, and what they say together.

#include <algorithm>
#include <utility>

#include "agent/proxy/http/characters.h"
#include "agent/proxy/http/field_lines.h"
#include "agent/proxy/http/h1_parse.h"
#include "agent/proxy/http/version.h"

namespace sallyport::proxy {
namespace {

constexpr size_t kStatusDigits = 3;

using LineResult = std::variant<NeedMore, BadMessage, size_t>;

BadMessage Bad(const char* detail) { return BadMessage{400, detail}; }

// HTTP/1.x SP status [SP reason] CRLF. The space after the status is asked for by RFC 9112 section
// 4, but servers leave it out together with the reason. The answer is the line's length.
LineResult ParseStatusLine(std::string_view bytes, const H1Limits& limits, ResponseHead* head) {
  const std::string_view all = bytes.substr(0, limits.request_line_bytes);
  const auto need_more = [&]() -> LineResult {
    if (bytes.size() > all.size()) return Bad("the status line is too long");
    return NeedMore{};
  };

  const VersionResult version = ParseVersion(all);
  if (version.status == VersionResult::kNeedMore) return need_more();
  if (version.status != VersionResult::kOk) return Bad("not HTTP/1.0 or HTTP/1.1");
  head->minor_version = version.minor;
  size_t at = kVersionBytes;
  if (at == all.size()) return need_more();
  if (all[at] != ' ') return Bad("a malformed status line");
  ++at;
  for (size_t i = 0; i < kStatusDigits; ++i, ++at) {
    if (at == all.size()) return need_more();
    if (!IsDigit(all[at])) return Bad("a status that is not a number of three digits");
    head->status = head->status * 10 + (all[at] - '0');
  }
  if (head->status < 100 || head->status > 599) return Bad("a status below 100 or above 599");
  if (at == all.size()) return need_more();
  if (all[at] == ' ') {
    ++at;
    const size_t length = FieldTextLength(all.substr(at));
    head->reason = TrimWhiteSpace(all.substr(at, length));
    at += length;
  }
  if (at == all.size()) return need_more();
  if (all[at] != '\r') return Bad("a malformed status line");
  if (at + 1 == all.size()) return need_more();
  if (all[at + 1] != '\n') return Bad("a CR without LF");
  return at + 2;
}

// RFC 9112 section 6.3.
std::optional<BadMessage> Interpret(std::string_view request_method, ResponseHead* head) {
  std::variant<BadMessage, FramingFields> read =
      ReadFramingFields(head->headers, head->minor_version);
  if (auto* bad = std::get_if<BadMessage>(&read)) return std::move(*bad);
  const auto& fields = std::get<FramingFields>(read);
  const bool never_has_body = head->status < 200 || head->status == 204;
  if (never_has_body && fields.chunked) return Bad("Transfer-Encoding in a response without body");
  head->keep_alive =
      !fields.close && fields.legal_connection && (head->minor_version > 0 || fields.keep_alive);
  if (never_has_body || head->status == 304 || request_method == "HEAD") {
    // A length here promises nothing for HEAD and 304; elsewhere it may be followed by what it
    // announces.
    if (never_has_body && fields.content_length.value_or(0) > 0) head->keep_alive = false;
  } else if (fields.chunked) {
    head->framing = BodyFraming::kChunked;
  } else if (fields.content_length.has_value()) {
    head->framing = BodyFraming::kLength;
    head->content_length = *fields.content_length;
  } else {
    head->framing = BodyFraming::kUntilClose;
    head->keep_alive = false;
  }
  head->websocket = head->status == 101 && fields.UpgradesToWebSocket() && head->keep_alive &&
                    head->minor_version > 0;
  return std::nullopt;
}

}  // namespace

std::variant<NeedMore, BadMessage, ParsedHead<ResponseHead>> ParseResponseHead(
    std::string_view bytes, std::string_view request_method, const H1Limits& limits) {
  std::variant<NeedMore, BadMessage, ParsedHead<ResponseHead>> result;
  auto& parsed = result.emplace<ParsedHead<ResponseHead>>();
  ResponseHead& head = parsed.head;

  LineResult line = ParseStatusLine(bytes, limits, &head);
  if (auto* bad = std::get_if<BadMessage>(&line)) return std::move(*bad);
  if (std::holds_alternative<NeedMore>(line)) return NeedMore{};
  const size_t line_bytes = std::get<size_t>(line);

  const size_t max_bytes = limits.head_bytes - std::min<size_t>(limits.head_bytes, line_bytes);
  LineResult section =
      ParseFieldLines(bytes.substr(line_bytes), max_bytes, limits.header_count, &head.headers);
  if (auto* bad = std::get_if<BadMessage>(&section)) return std::move(*bad);
  if (std::holds_alternative<NeedMore>(section)) return NeedMore{};
  parsed.consumed = line_bytes + std::get<size_t>(section);

  std::optional<BadMessage> bad = Interpret(request_method, &head);
  if (bad.has_value()) return *std::move(bad);
  return result;
}

}  // namespace sallyport::proxy
