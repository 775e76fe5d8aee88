#include "agent/proxy/http/field_lines.h"

#include <limits>

#include "agent/proxy/http/characters.h"

namespace sallyport::proxy {
namespace {

// Enough for most heads, so that the fields are not moved while they are collected.
constexpr size_t kUsualCount = 16;

BadMessage Bad(const char* detail) { return BadMessage{400, detail}; }

enum class Role {
  kNone,
  kHost,
  kContentLength,
  kTransferEncoding,
  kConnection,
  kExpect,
  kUpgrade,
  kLookAlike
};

Role RoleOf(std::string_view name) {
  switch (name.size()) {
    case 4:
      return EqualsIgnoreCase(name, "host") ? Role::kHost : Role::kNone;
    case 6:
      return EqualsIgnoreCase(name, "expect") ? Role::kExpect : Role::kNone;
    case 7:
      return EqualsIgnoreCase(name, "upgrade") ? Role::kUpgrade : Role::kNone;
    case 10:
      return EqualsIgnoreCase(name, "connection") ? Role::kConnection : Role::kNone;
    case 14:
      if (EqualsIgnoreCase(name, "content-length")) return Role::kContentLength;
      return EqualsIgnoreCase(name, "content_length") ? Role::kLookAlike : Role::kNone;
    case 17:
      if (EqualsIgnoreCase(name, "transfer-encoding")) return Role::kTransferEncoding;
      return EqualsIgnoreCase(name, "transfer_encoding") ? Role::kLookAlike : Role::kNone;
    default:
      return Role::kNone;
  }
}

bool IsKnownCoding(std::string_view value) {
  for (const std::string_view coding :
       {"gzip", "x-gzip", "deflate", "compress", "x-compress", "identity"}) {
    if (EqualsIgnoreCase(value, coding)) return true;
  }
  return false;
}

}  // namespace

std::variant<NeedMore, BadMessage, size_t> ParseFieldLines(std::string_view bytes, size_t max_bytes,
                                                           size_t max_count, Headers* headers) {
  const std::string_view all = bytes.substr(0, max_bytes);
  // Nothing beyond the limit is looked at, so that the answer does not depend on how much has come
  // in.
  const auto need_more = [&]() -> std::variant<NeedMore, BadMessage, size_t> {
    if (bytes.size() > max_bytes)
      return BadMessage{431, "the header section is too large", Limit::kHeaderBytes};
    return NeedMore{};
  };
  headers->Reserve(kUsualCount);
  size_t count = 0;
  size_t at = 0;
  while (true) {
    if (at == all.size()) return need_more();
    if (all[at] == '\r') {
      if (at + 1 == all.size()) return need_more();
      if (all[at + 1] != '\n') return Bad("a CR without LF");
      return at + 2;
    }
    const size_t name_length = TokenLength(all.substr(at));
    const size_t colon = at + name_length;
    if (colon == all.size()) return need_more();
    if (name_length == 0) {
      if (all[at] == ' ' || all[at] == '\t')
        return Bad("a header line that begins with white space");
      return Bad(all[at] == '\n' ? "a LF without CR" : "a header name that is not a token");
    }
    if (all[colon] != ':') {
      if (all[colon] == ' ' || all[colon] == '\t')
        return Bad("white space before a header's colon");
      return Bad(all[colon] == '\r' || all[colon] == '\n' ? "a header line without colon"
                                                          : "a header name that is not a token");
    }
    const size_t value_at = colon + 1;
    const size_t end = value_at + FieldTextLength(all.substr(value_at));
    if (end == all.size()) return need_more();
    if (all[end] != '\r') {
      return Bad(all[end] == '\n' ? "a LF without CR" : "a control byte in a header value");
    }
    if (end + 1 == all.size()) return need_more();
    if (all[end + 1] != '\n') return Bad("a CR without LF");
    if (++count > max_count) return BadMessage{431, "too many headers", Limit::kHeaderCount};
    headers->Add(all.substr(at, name_length), TrimWhiteSpace(all.substr(value_at, end - value_at)));
    at = end + 2;
  }
}

std::optional<uint64_t> ParseContentLength(std::string_view text) {
  if (text.empty() || text.size() > 19 || (text[0] == '0' && text.size() > 1)) return std::nullopt;
  uint64_t value = 0;  // 19 digits fit.
  for (const char c : text) {
    if (!IsDigit(c)) return std::nullopt;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
  return value;
}

std::variant<BadMessage, FramingFields> ReadFramingFields(const Headers& headers,
                                                          int minor_version) {
  FramingFields fields;
  for (const Header& field : headers.fields()) {
    switch (RoleOf(field.name)) {
      case Role::kNone:
        break;
      case Role::kHost:
        ++fields.host_count;
        fields.host = &field.value;
        break;
      case Role::kContentLength: {
        if (fields.content_length.has_value()) return Bad("more than one Content-Length");
        fields.content_length = ParseContentLength(field.value);
        if (!fields.content_length.has_value()) return Bad("a malformed Content-Length");
        break;
      }
      case Role::kTransferEncoding:
        if (minor_version == 0) return Bad("Transfer-Encoding in HTTP/1.0");
        if (fields.chunked) return Bad("more than one Transfer-Encoding");
        if (!EqualsIgnoreCase(field.value, "chunked")) {
          return BadMessage{IsKnownCoding(field.value) ? 501 : 400,
                            "a Transfer-Encoding other than chunked"};
        }
        fields.chunked = true;
        break;
      case Role::kConnection: {
        std::string_view list = field.value;
        while (!list.empty()) {
          const std::string_view option = TakeListElement(&list);
          if (!option.empty() && !IsToken(option)) fields.legal_connection = false;
          if (EqualsIgnoreCase(option, "close")) fields.close = true;
          if (EqualsIgnoreCase(option, "keep-alive")) fields.keep_alive = true;
          if (EqualsIgnoreCase(option, "upgrade")) fields.upgrade = true;
        }
        break;
      }
      case Role::kExpect:
        if (fields.expect_continue || !EqualsIgnoreCase(field.value, "100-continue")) {
          return BadMessage{417, "an Expect other than one 100-continue"};
        }
        fields.expect_continue = true;
        break;
      case Role::kUpgrade:
        ++fields.upgrade_count;
        fields.websocket = EqualsIgnoreCase(field.value, "websocket");
        break;
      case Role::kLookAlike:
        return Bad("a header whose name some programs take for a framing header");
    }
  }
  if (fields.chunked && fields.content_length.has_value()) {
    return Bad("Content-Length and Transfer-Encoding together");
  }
  return fields;
}

}  // namespace sallyport::proxy
