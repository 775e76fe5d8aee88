// Heads as text.

#include "agent/proxy/http/serialize.h"

#include <algorithm>
#include <charconv>

#include "agent/proxy/http/characters.h"
#include "agent/proxy/http/h1_parse.h"

namespace sallyport::proxy {
namespace {

// Room for framing fields, so that most heads are written without a second allocation.
constexpr size_t kSpareBytes = 128;

// Fields that only this file writes. One that slipped through would let its author choose where a
// message, or HTTP itself, ends.
bool IsWrittenHere(std::string_view name) {
  switch (name.size()) {
    case 6:
      return EqualsIgnoreCase(name, "expect");
    case 7:
      return EqualsIgnoreCase(name, "upgrade");
    case 10:
      return EqualsIgnoreCase(name, "connection");
    case 14:
      return EqualsIgnoreCase(name, "content-length");
    case 17:
      return EqualsIgnoreCase(name, "transfer-encoding");
    default:
      return false;
  }
}

void AppendField(std::string_view name, std::string_view value, std::string* out) {
  out->append(name).append(": ").append(value).append("\r\n");
}

void AppendFields(const Headers& headers, bool skip_host, std::string* out) {
  for (const Header& field : headers.fields()) {
    if (IsWrittenHere(field.name) || !IsLegalHeader(field.name, field.value)) continue;
    if (skip_host && EqualsIgnoreCase(field.name, "host")) continue;
    AppendField(field.name, field.value, out);
  }
}

void AppendFraming(BodyFraming framing, uint64_t content_length, std::string* out) {
  if (framing == BodyFraming::kLength) {
    out->append("Content-Length: ");
    AppendNumber(content_length, 10, out);
    out->append("\r\n");
  } else if (framing == BodyFraming::kChunked) {
    out->append("Transfer-Encoding: chunked\r\n");
  }
}

void AppendUpgrade(std::string* out) {
  AppendField("Connection", "Upgrade", out);
  AppendField("Upgrade", "websocket", out);
}

size_t SizeOf(const Headers& headers) {
  size_t size = kSpareBytes;
  for (const Header& field : headers.fields()) size += field.name.size() + field.value.size() + 4;
  return size;
}

// Makes room for the rest of the head, too.
void AppendStatusLine(int status, std::string_view reason, const Headers& headers,
                      std::string* out) {
  if (reason.empty() || FieldTextLength(reason) != reason.size()) reason = ReasonPhrase(status);
  out->reserve(out->size() + SizeOf(headers) + reason.size());
  out->append("HTTP/1.1 ");
  AppendNumber(static_cast<uint64_t>(status), 10, out);
  out->append(" ").append(reason).append("\r\n");
}

// A server that gets no length may refuse these (RFC 9110 section 8.6).
bool UsuallyHasBody(std::string_view method) {
  return method == "POST" || method == "PUT" || method == "PATCH";
}

}  // namespace

void AppendNumber(uint64_t number, int base, std::string* out) {
  char digits[20];
  const std::to_chars_result end = std::to_chars(digits, digits + sizeof(digits), number, base);
  out->append(digits, end.ptr);
}

void AppendRequestHead(const RequestHead& head, std::string_view authority_text,
                       const Headers& headers, BodyFraming framing, uint64_t content_length,
                       std::string* out) {
  out->reserve(out->size() + SizeOf(headers) + head.method.size() + head.target.size() +
               authority_text.size());
  out->append(head.method).append(" ");
  if (!head.absolute_scheme.empty()) {
    out->append(head.absolute_scheme).append("://").append(authority_text);
    // RFC 9112 section 3.2.4.
    if (head.target != "*") out->append(head.target);
  } else {
    out->append(head.target);
  }
  out->append(" HTTP/1.1\r\n");
  AppendField("Host", authority_text, out);
  AppendFields(headers, /*skip_host=*/true, out);
  if (framing == BodyFraming::kNone && UsuallyHasBody(head.method)) framing = BodyFraming::kLength;
  AppendFraming(framing, content_length, out);
  if (head.expect_continue) AppendField("Expect", "100-continue", out);
  if (head.websocket) AppendUpgrade(out);
  out->append("\r\n");
}

void AppendResponseHead(int status, std::string_view reason, const Headers& headers,
                        BodyFraming framing, uint64_t content_length, std::string_view connection,
                        std::string* out) {
  AppendStatusLine(status, reason, headers, out);
  AppendFields(headers, /*skip_host=*/false, out);
  AppendFraming(framing, content_length, out);
  if (!connection.empty()) AppendField("Connection", connection, out);
  out->append("\r\n");
}

void AppendSwitchToWebSocket(std::string_view reason, const Headers& headers, std::string* out) {
  AppendStatusLine(101, reason, headers, out);
  AppendFields(headers, /*skip_host=*/false, out);
  AppendUpgrade(out);
  out->append("\r\n");
}

void AppendTrailers(const Headers& trailers, std::string* out) {
  for (const Header& field : trailers.fields()) {
    if (IsForbiddenTrailer(field.name) || !IsLegalHeader(field.name, field.value)) continue;
    AppendField(field.name, field.value, out);
  }
  out->append("\r\n");
}

bool IsForbiddenTrailer(std::string_view name) {
  static constexpr std::string_view kForbidden[] = {"age",
                                                    "authorization",
                                                    "cache-control",
                                                    "connection",
                                                    "content-encoding",
                                                    "content-length",
                                                    "content-range",
                                                    "content-type",
                                                    "cookie",
                                                    "date",
                                                    "expect",
                                                    "expires",
                                                    "host",
                                                    "http2-settings",
                                                    "if-match",
                                                    "if-modified-since",
                                                    "if-none-match",
                                                    "if-range",
                                                    "if-unmodified-since",
                                                    "keep-alive",
                                                    "location",
                                                    "max-forwards",
                                                    "pragma",
                                                    "proxy-authenticate",
                                                    "proxy-authorization",
                                                    "proxy-connection",
                                                    "range",
                                                    "retry-after",
                                                    "set-cookie",
                                                    "te",
                                                    "trailer",
                                                    "transfer-encoding",
                                                    "upgrade",
                                                    "vary",
                                                    "warning",
                                                    "www-authenticate",
                                                    "content_length",
                                                    "transfer_encoding"};
  return std::ranges::any_of(
      kForbidden, [name](std::string_view known) { return EqualsIgnoreCase(name, known); });
}

std::string SerializeRequestHead(const RequestHead& head, std::string_view authority_text,
                                 const Headers& headers, BodyFraming framing,
                                 uint64_t content_length) {
  std::string text;
  AppendRequestHead(head, authority_text, headers, framing, content_length, &text);
  return text;
}

std::string SerializeResponseHead(int status, std::string_view reason, const Headers& headers,
                                  BodyFraming framing, uint64_t content_length, bool keep_alive) {
  std::string text;
  AppendResponseHead(status, reason, headers, framing, content_length, keep_alive ? "" : "close",
                     &text);
  return text;
}

}  // namespace sallyport::proxy
