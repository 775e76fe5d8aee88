// A server's HTTP/2 connection in memory, served by a small service, and its peer's raw frames.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_H2_FIXTURE_H_
#define SALLYPORT_AGENT_PROXY_HTTP_H2_FIXTURE_H_

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/proxy/event.h"
#include "agent/proxy/http/h2_server.h"
#include "agent/proxy/http/websocket_key.h"
#include "agent/proxy/testing/h2_frames.h"
#include "agent/proxy/testing/memory_stream.h"
#include "agent/proxy/testing/run.h"

namespace sallyport::proxy {

inline const h2::Fields kGet = {
    {":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "good.test"}};
inline const h2::Fields kPost = {
    {":method", "POST"}, {":scheme", "http"}, {":path", "/echo"}, {":authority", "good.test"}};

// `fields` with one of them changed or, if it is not there, added.
inline h2::Fields With(std::string_view name, std::string_view value, h2::Fields fields = kGet) {
  for (auto& [known, old] : fields) {
    if (known != name) continue;
    old = value;
    return fields;
  }
  fields.emplace_back(name, value);
  return fields;
}

// What the service does is told by the path:
//
//   /        200 "ok"
//   /echo    200 with the body, piece by piece, and the request's trailers
//   /upload  200 with the body's length, when it has been read
//   /refuse  403, and the body "no" when `more` is notified
//   /hints   sixteen interim answers of 16 KiB, each a line in `log` when it is through, and 200
//   "ok" /hang    nothing, until the request is given up; then its log says "abandoned" /SIZE 200
//   with so many bytes, in one write
//
// A WebSocket is agreed to (with X-Accept, if that is given), and echoes. Each request is a line in
// `log`.
class H2Fixture : public testing::Test {
 protected:
  ~H2Fixture() override {
    if (server_ != nullptr) End();
  }

  // With the client's preface, unless `preface` says otherwise.
  void Begin(const H2Limits& limits = {}, const H2Timeouts& timeouts = {},
             const std::string& preface = h2::Preface()) {
    if (server_ != nullptr) End();
    std::tie(end_, peer_) = MemoryStream::MakePair(context_);
    end_->set_faults({.capacity = 64 * 1024 * 1024});
    server_ = std::make_unique<H2ServerConnection>(context_, end_.get(), "", limits, timeouts,
                                                   /*connect_to_proxy=*/false, &budget_);
    log_.clear();
    seen_ = 0;
    running_ = 1;
    reader_ = std::make_unique<h2::FrameReader>();
    Spawn(context_, Write(this));
    Spawn(context_, Serve(this));
    if (!preface.empty()) Give(preface);
  }

  // What comes back at once.
  std::vector<h2::ReceivedFrame> Give(std::string_view bytes) {
    end_->Receive(bytes);
    RunReady(context_);
    return Output();
  }
  std::vector<h2::ReceivedFrame> Output() {
    const std::string_view written = end_->written();
    const size_t from = std::exchange(seen_, written.size());
    return reader_->Read(written.substr(from));
  }
  // Until the server has ended the connection, for a while at most.
  void AwaitEnd() {
    context_.restart();
    while (running_ > 0 && context_.run_one_for(std::chrono::seconds(20)) > 0) {
    }
    EXPECT_EQ(running_, 0u) << "a coroutine waits for something that does not come";
  }
  // The peer goes.
  void End() {
    end_->ReceiveEnd();
    AwaitEnd();
  }
  bool over() const { return running_ == 0; }

  static std::string StatusOf(const std::vector<h2::ReceivedFrame>& frames, uint32_t stream = 1) {
    std::string status;
    for (const h2::ReceivedFrame& frame : frames) {
      if (frame.stream == stream && frame.type == h2::kHeaders && !frame.Field(":status").empty())
        status = frame.Field(":status");
    }
    return status;
  }
  static std::string BodyOf(const std::vector<h2::ReceivedFrame>& frames, uint32_t stream = 1) {
    std::string body;
    for (const h2::ReceivedFrame& frame : frames) {
      if (frame.stream == stream && frame.type == h2::kData) body += frame.payload;
    }
    return body;
  }
  // "RST_STREAM 1 8", "GOAWAY 1", "HEADERS 1 200", "DATA 1 END", …; SETTINGS and WINDOW_UPDATE of
  // the server's own making left out.
  static std::string Summary(const std::vector<h2::ReceivedFrame>& frames) {
    std::string text;
    for (const h2::ReceivedFrame& frame : frames) {
      const std::string stream = std::to_string(frame.stream);
      const std::string end = frame.Has(h2::kEndStream) ? " END" : "";
      std::string line;
      switch (frame.type) {
        case h2::kHeaders:
          line = "HEADERS " + stream + " " + frame.Field(":status") + end;
          break;
        case h2::kData:
          line = "DATA " + stream + end;
          break;
        case h2::kRstStream:
          line = "RST_STREAM " + stream + " " + std::to_string(frame.error());
          break;
        case h2::kGoAway:
          line = "GOAWAY " + std::to_string(frame.error());
          break;
        case h2::kSettings:
          if (frame.Has(h2::kAck)) line = "SETTINGS ACK";
          break;
        case h2::kPing:
          line = frame.Has(h2::kAck) ? "PING ACK" : "PING";
          break;
        default:
          break;
      }
      if (!line.empty()) text += (text.empty() ? "" : ", ") + line;
    }
    return text;
  }

  boost::asio::io_context context_{1};
  ContainerBudget budget_{ContainerLimits()};
  std::unique_ptr<MemoryStream> end_, peer_;
  std::unique_ptr<H2ServerConnection> server_;
  std::unique_ptr<h2::FrameReader> reader_;
  std::vector<std::string> log_;
  Event more_{context_};
  size_t running_ = 0;  // Coroutines.
  size_t seen_ = 0;     // Of what the server wrote.

 private:
  static Task<void> Write(H2Fixture* test) {
    ++test->running_;
    co_await test->server_->WriteAll();
    --test->running_;
  }

  static Task<void> Serve(H2Fixture* test) {
    while (true) {
      std::vector<H2ServerConnection::Request> requests = co_await test->server_->ReadRequests();
      if (requests.empty()) break;
      for (H2ServerConnection::Request& request : requests) {
        ++test->running_;
        Spawn(test->context_, ServeOne(test, std::move(request)));
      }
    }
    --test->running_;
  }

  static Task<void> ServeOne(H2Fixture* test, H2ServerConnection::Request request) {
    ServerExchange& exchange = *request.exchange;
    if (const auto* bad = std::get_if<BadMessage>(&request.head)) {
      test->log_.push_back("bad " + std::to_string(bad->status));
      ResponseHead head;
      head.status = bad->status;
      if (bad->status != 0) (void)co_await exchange.WriteResponse(head, "bad", false);
    } else {
      const auto& head = std::get<RequestHead>(request.head);
      test->log_.push_back(head.method + " " + head.target);
      co_await Answer(test, &exchange, &head);
    }
    co_await request.exchange->Linger();
    request.exchange = nullptr;
    test->server_->RequestServed();
    --test->running_;
  }

  static Task<void> Answer(H2Fixture* test, ServerExchange* exchange, const RequestHead* request) {
    ResponseHead head;
    head.status = 200;
    if (request->websocket) {
      const std::string* accept = request->headers.Find("x-accept");
      const std::string* key = request->headers.Find("sec-websocket-key");
      head.headers.Add("Sec-WebSocket-Accept", accept != nullptr ? *accept : WebSocketAccept(*key));
      co_await Echo(exchange, head);
    } else if (request->target == "/echo") {
      head.framing = BodyFraming::kChunked;
      (void)co_await exchange->WriteHead(head, true);
      while (true) {
        const absl::StatusOr<std::string_view> piece = co_await exchange->body().Read();
        if (!piece.ok()) test->log_.push_back(std::string(piece.status().message()));
        if (!piece.ok() || piece->empty()) break;
        if (!(co_await exchange->WriteBody(*piece)).ok()) break;
      }
      (void)co_await exchange->FinishBody(exchange->body().trailers());
    } else if (request->target == "/upload") {
      size_t size = 0;
      while (true) {
        const absl::StatusOr<std::string_view> piece = co_await exchange->body().Read();
        if (!piece.ok()) test->log_.push_back(std::string(piece.status().message()));
        if (!piece.ok() || piece->empty()) break;
        size += piece->size();
      }
      (void)co_await exchange->WriteResponse(head, std::to_string(size), true);
    } else if (request->target == "/refuse") {
      head.status = 403;
      head.framing = BodyFraming::kChunked;
      (void)co_await exchange->WriteHead(head, true);
      (void)co_await exchange->Flush();
      (void)co_await test->more_.Wait(SteadyTime::max());
      (void)co_await exchange->WriteBody("no");
      (void)co_await exchange->FinishBody({});
    } else if (request->target == "/hints") {
      ResponseHead hints;
      hints.status = 103;
      hints.headers.Add("link", std::string(16 * 1024, 'x'));
      absl::Status written;
      for (int i = 0; i < 16 && written.ok(); ++i) {
        written = co_await exchange->WriteInterim(hints);
        test->log_.push_back(written.ok() ? "hints" : absl::StatusCodeToString(written.code()));
      }
      (void)co_await exchange->WriteResponse(head, "ok", true);
    } else if (request->target == "/hang") {
      Event gone(test->context_);
      const AbandonmentWatch watch(exchange, [&gone] { gone.Notify(); });
      (void)co_await gone.Wait(SteadyTime::max());
      test->log_.push_back("abandoned");
    } else {
      const size_t size = std::strtoul(request->target.c_str() + 1, nullptr, 10);
      (void)co_await exchange->WriteResponse(head, size > 0 ? std::string(size, 'x') : "ok", true);
    }
  }

  static Task<void> Echo(ServerExchange* exchange, const ResponseHead& agreed) {
    if (!(co_await exchange->SwitchToWebSocket(agreed, "hello")).ok()) co_return;
    std::array<char, 1024> buffer;
    while (true) {
      const absl::StatusOr<size_t> count = co_await exchange->tunnel().Read(buffer);
      if (!count.ok() || *count == 0) break;
      const std::string_view piece(buffer.data(), *count);
      if (!(co_await exchange->tunnel().Write({&piece, 1})).ok()) break;
    }
    (void)co_await exchange->tunnel().ShutdownWrite();
  }
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_H2_FIXTURE_H_
