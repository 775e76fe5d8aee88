// What a peer may send: bytes in pieces, to a session with two calls, one of which is received
// from.

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "agent/proxy/handlers/http2_session.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  using sallyport::proxy::CallState;
  std::string_view input(reinterpret_cast<const char*>(bytes), size);
  boost::asio::io_context context{1};
  sallyport::proxy::Http2Session session(context, "handler.test");
  const std::shared_ptr<CallState> read = session.Open();
  const std::shared_ptr<CallState> left = session.Open();
  read->outgoing = std::string(100, 'x');
  session.ResumeSending(*read);

  std::string output;
  session.TakeOutput(64 * 1024, &output);
  // The first byte says how the rest is cut.
  const size_t step = input.empty() ? 1 : 1 + static_cast<unsigned char>(input[0]);
  if (!input.empty()) input.remove_prefix(1);
  bool whole = true;
  while (!input.empty() && whole) {
    whole = session.OnInput(input.substr(0, step)).ok();
    input.remove_prefix(std::min(step, input.size()));
    while (read->response.NextMessage().has_value()) session.Consume(*read, read->owed);
    output.clear();
    session.TakeOutput(64 * 1024, &output);
  }
  session.Abandon(*left);
  if (whole) session.Retire();
  session.Fail(absl::UnavailableError("the end"));
  if (!read->response.result().has_value() || !left->response.result().has_value())
    __builtin_trap();
  return 0;
}
