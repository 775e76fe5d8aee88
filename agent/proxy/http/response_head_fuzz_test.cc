// Whatever is accepted reads the same when it is written and read again. The first byte chooses the
// request's method.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "agent/proxy/http/h1_parse.h"
#include "common/base/check.h"

using namespace sallyport::proxy;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string_view method = data[0] % 2 == 0 ? "GET" : "HEAD";
  const auto parsed = ParseResponseHead(bytes, method, H1Limits{});
  const auto* first = std::get_if<ParsedHead<ResponseHead>>(&parsed);
  if (first == nullptr) return 0;
  const ResponseHead& head = first->head;
  SALLYPORT_CHECK(first->consumed <= bytes.size());
  SALLYPORT_CHECK(head.status >= 100 && head.status <= 599);
  SALLYPORT_CHECK(method != "HEAD" || head.framing == BodyFraming::kNone);

  Headers headers = head.headers;
  RemoveHopByHop(&headers);
  const std::string text = SerializeResponseHead(head.status, head.reason, headers, head.framing,
                                                 head.content_length, head.keep_alive);
  const auto again = ParseResponseHead(
      text, method,
      H1Limits{.head_bytes = 128 * 1024, .request_line_bytes = 16 * 1024, .header_count = 128});
  const auto* second = std::get_if<ParsedHead<ResponseHead>>(&again);
  SALLYPORT_CHECK(second != nullptr);
  SALLYPORT_CHECK(second->consumed == text.size());
  SALLYPORT_CHECK(second->head.status == head.status);
  SALLYPORT_CHECK(second->head.framing == head.framing);
  SALLYPORT_CHECK(second->head.content_length == head.content_length);
  return 0;
}
