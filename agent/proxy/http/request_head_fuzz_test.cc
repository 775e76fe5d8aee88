// Whatever is accepted reads the same when it is written and read again, and its host is one that
// policy knows.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "agent/proxy/http/h1_parse.h"
#include "common/base/check.h"

using namespace sallyport::proxy;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto parsed = ParseRequestHead(bytes, H1Limits{});
  const auto* first = std::get_if<ParsedHead<RequestHead>>(&parsed);
  if (first == nullptr) return 0;
  const RequestHead& head = first->head;
  SALLYPORT_CHECK(first->consumed <= size);
  SALLYPORT_CHECK(IsToken(head.method));
  SALLYPORT_CHECK(head.target == "*" || head.target.starts_with('/'));
  SALLYPORT_CHECK(!head.authority.host.text().empty());

  Headers headers = head.headers;
  RemoveHopByHop(&headers);
  headers.Remove("expect");
  const std::string text = SerializeRequestHead(head, head.authority.ToString(80), headers,
                                                head.framing, head.content_length);
  const auto again = ParseRequestHead(
      text,
      H1Limits{.head_bytes = 128 * 1024, .request_line_bytes = 16 * 1024, .header_count = 128});
  const auto* second = std::get_if<ParsedHead<RequestHead>>(&again);
  SALLYPORT_CHECK(second != nullptr);
  SALLYPORT_CHECK(second->consumed == text.size());
  SALLYPORT_CHECK(second->head.method == head.method);
  SALLYPORT_CHECK(second->head.target == head.target);
  SALLYPORT_CHECK(second->head.authority.host == head.authority.host);
  SALLYPORT_CHECK(second->head.content_length == head.content_length);
  SALLYPORT_CHECK(second->head.websocket == head.websocket);
  SALLYPORT_CHECK(head.framing == BodyFraming::kNone || second->head.framing == head.framing);
  return 0;
}
