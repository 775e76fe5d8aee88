// A connection that receives these bytes, in segments whose size the first byte tells: it ends, it
// serves nothing after a body that was not read whole or after a refused WebSocket, and the
// segments make no difference.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "agent/proxy/http/h1_connection.h"
#include "agent/proxy/testing/memory_stream.h"
#include "agent/proxy/testing/run.h"
#include "common/base/check.h"

using namespace sallyport::proxy;

namespace {

// What was understood, as text.
Task<std::string> Serve(H1ServerConnection* server) {
  std::string log;
  while (true) {
    const H1ServerConnection::HeadResult result = co_await server->ReadHead();
    if (std::holds_alternative<H1ServerConnection::Closed>(result)) co_return log;
    if (const auto* bad = std::get_if<BadMessage>(&result))
      co_return log + "bad " + std::to_string(bad->status);
    const auto& head = std::get<RequestHead>(result);
    log += head.method + " " + head.target + "\n";
    // The answers to Expect depend on whether the body has come in already.
    const bool drop_body = head.expect_continue;
    while (!drop_body) {
      const absl::StatusOr<std::string_view> piece = co_await server->body().Read();
      if (!piece.ok()) co_return log + "!";
      if (piece->empty()) break;
      log += *piece;
    }
    for (const Header& field : server->body().trailers().fields())
      log += "\n" + field.name + ":" + field.value;
    ResponseHead response;
    response.status = 200;
    const absl::Status written = co_await server->WriteResponse(response, "x", true);
    SALLYPORT_CHECK(written.ok());
    if (!server->body_complete() || head.websocket) {
      const H1ServerConnection::HeadResult next = co_await server->ReadHead();
      SALLYPORT_CHECK(std::holds_alternative<H1ServerConnection::Closed>(next));
      co_return log;
    }
  }
}

std::string Understand(std::string_view bytes, size_t segment) {
  boost::asio::io_context context(1);
  auto [stream, client] = MemoryStream::MakePair(context);
  stream->set_faults({.max_read = segment, .capacity = 16 * 1024 * 1024});
  stream->Receive(bytes);
  stream->ReceiveEnd();
  H1ServerConnection server(stream.get(), "", H1Limits{}, H1Timeouts{});
  return RunTask(context, Serve(&server));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string whole = Understand(bytes, Faults().max_read);
  const std::string in_pieces = Understand(bytes, 1 + data[0]);
  SALLYPORT_CHECK(whole == in_pieces);
  return 0;
}
