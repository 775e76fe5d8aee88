// A server's connection that receives these bytes behind a preface, at once and in segments whose
// size the first byte tells: it ends, with every coroutine of it, whatever the bytes.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/proxy/http/h2_server.h"
#include "agent/proxy/testing/memory_stream.h"
#include "agent/proxy/testing/run.h"
#include "common/base/check.h"

using namespace sallyport::proxy;

namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct Served {
  explicit Served(boost::asio::io_context& context, Stream* stream)
      : context(context), http(context, stream, "", H2Limits{}, H2Timeouts{}) {}

  boost::asio::io_context& context;
  H2ServerConnection http;
  size_t running = 2;
};

Task<void> ServeOne(Served* served, H2ServerConnection::Request request) {
  ServerExchange& exchange = *request.exchange;
  bool whole = std::holds_alternative<RequestHead>(request.head);
  while (whole) {
    const absl::StatusOr<std::string_view> piece = co_await exchange.body().Read();
    whole = piece.ok();
    if (!whole || piece->empty()) break;
  }
  ResponseHead response;
  response.status = 200;
  const absl::Status written = co_await exchange.WriteResponse(response, "x", true);
  written.IgnoreError();
  request.exchange = nullptr;
  served->http.RequestServed();
  --served->running;
}

Task<void> Serve(Served* served) {
  while (true) {
    std::vector<H2ServerConnection::Request> requests = co_await served->http.ReadRequests();
    if (requests.empty()) break;
    for (H2ServerConnection::Request& request : requests) {
      ++served->running;
      Spawn(served->context, ServeOne(served, std::move(request)));
    }
  }
  --served->running;
}

Task<void> Write(Served* served) {
  co_await served->http.WriteAll();
  --served->running;
}

void ServeBytes(std::string_view bytes, size_t segment) {
  boost::asio::io_context context(1);
  auto [stream, client] = MemoryStream::MakePair(context);
  stream->set_faults({.max_read = segment, .capacity = 16 * 1024 * 1024});
  stream->Receive(kPreface);
  stream->Receive(bytes);
  stream->ReceiveEnd();
  Served served(context, stream.get());
  Spawn(context, Write(&served));
  Spawn(context, Serve(&served));
  RunReady(context);
  SALLYPORT_CHECK(served.running == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  ServeBytes(bytes, Faults().max_read);
  ServeBytes(bytes, 1 + data[0]);
  return 0;
}
