#include "agent/proxy/http/h2_origin_head.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "agent/proxy/http/characters.h"
#include "agent/proxy/http/field_lines.h"
#include "agent/proxy/http/h2_fields.h"

namespace sallyport::proxy {
namespace {

std::optional<int> ParseStatus(std::string_view text) {
  if (text.size() != 3 || !std::ranges::all_of(text, IsDigit)) return std::nullopt;
  const int status = (text[0] - '0') * 100 + (text[1] - '0') * 10 + (text[2] - '0');
  if (status < 100 || status > 599) return std::nullopt;
  return status;
}

absl::Status SetFraming(bool ends_stream, AskedFor asked_for, ResponseHead* head) {
  if (head->headers.Count("content-length") > 1)
    return absl::InvalidArgumentError("more than one content-length");
  const std::string* text = head->headers.Find("content-length");
  std::optional<uint64_t> length;
  if (text != nullptr) {
    length = ParseContentLength(*text);
    if (!length.has_value()) return absl::InvalidArgumentError("a malformed content-length");
  }
  const bool interim = head->status < 200;
  if (interim && ends_stream)
    return absl::InvalidArgumentError("an interim answer that is the end");
  const bool never_has_body =
      interim || head->status == 204 || head->status == 304 || asked_for.head;
  if (never_has_body || ends_stream) {
    if (!never_has_body && length.value_or(0) > 0)
      return absl::InvalidArgumentError("a content-length without a body");
    return absl::OkStatus();
  }
  head->may_have_trailers = true;
  head->framing = length.has_value() ? BodyFraming::kLength : BodyFraming::kChunked;
  head->content_length = length.value_or(0);
  return absl::OkStatus();
}

}  // namespace

Headers RequestFields(const RequestHead& head, std::string_view authority_text,
                      std::string_view scheme) {
  Headers fields;
  fields.Reserve(head.headers.fields().size() + 7);
  fields.Add(":method", head.websocket ? "CONNECT" : head.method);
  if (head.websocket) fields.Add(":protocol", "websocket");
  fields.Add(":scheme", scheme);
  fields.Add(":authority", authority_text);
  fields.Add(":path", head.target);
  AppendH2Fields(head.headers, &fields);
  fields.Remove("expect");
  if (head.websocket) fields.Remove("sec-websocket-key");
  if (head.framing == BodyFraming::kLength) AppendContentLength(head.content_length, &fields);
  if (head.te_trailers) fields.Add("te", "trailers");
  if (head.expect_continue) fields.Add("expect", "100-continue");
  return fields;
}

absl::StatusOr<ResponseHead> ResponseOf(H2Head head, AskedFor asked_for) {
  if (head.too_large) return absl::InvalidArgumentError("the answer's head is too large");
  ResponseHead response;
  for (const Header& field : head.fields.fields()) {
    if (field.name == ":status") {
      const std::optional<int> status = ParseStatus(field.value);
      if (response.status != 0 || !status.has_value())
        return absl::InvalidArgumentError("a malformed :status");
      response.status = *status;
      continue;
    }
    if (response.status == 0) return absl::InvalidArgumentError("an answer without :status");
    if (!IsLegalHeader(field.name, field.value) || IsConnectionSpecific(field.name))
      return absl::InvalidArgumentError("a field that may not be in an answer");
    response.headers.Add(field.name, field.value);
  }
  if (response.status == 0) return absl::InvalidArgumentError("an answer without :status");
  if (response.status == 101) return absl::InvalidArgumentError("a 101, which HTTP/2 has not");
  if (asked_for.websocket && response.status >= 200 && response.status < 300) {
    if (head.ends_stream) return absl::InvalidArgumentError("a WebSocket that has ended already");
    response.status = 101;
    response.websocket = true;
    response.headers.Remove("content-length");
    return response;
  }
  absl::Status framed = SetFraming(head.ends_stream, asked_for, &response);
  if (!framed.ok()) return framed;
  return response;
}

}  // namespace sallyport::proxy
