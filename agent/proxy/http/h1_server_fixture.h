// A server's end of HTTP/1 whose client is the test.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_H1_SERVER_FIXTURE_H_
#define SALLYPORT_AGENT_PROXY_HTTP_H1_SERVER_FIXTURE_H_

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>

#include "agent/proxy/http/h1_connection.h"
#include "agent/proxy/testing/memory_stream.h"
#include "agent/proxy/testing/run.h"

namespace sallyport::proxy {

inline constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
inline constexpr std::string_view kPost =
    "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
inline constexpr std::string_view kExpect =
    "POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
inline constexpr std::string_view kWebSocket =
    "GET /w HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
inline constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

class H1ServerTest : public testing::Test {
 protected:
  H1ServerTest() {
    std::tie(stream_, client_) = MemoryStream::MakePair(context_);
    Restart({}, "");
  }
  void Restart(const H1Timeouts& timeouts, std::string early, const H1Limits& limits = {}) {
    server_ =
        std::make_unique<H1ServerConnection>(stream_.get(), std::move(early), limits, timeouts);
  }
  // The request's target, "closed", or the status of what is bad.
  std::string ReadHead() {
    const H1ServerConnection::HeadResult result = RunTask(context_, server_->ReadHead(&budget_));
    if (const auto* bad = std::get_if<BadMessage>(&result)) return std::to_string(bad->status);
    if (std::holds_alternative<H1ServerConnection::Closed>(result)) return "closed";
    return std::get<RequestHead>(result).target;
  }
  std::string ReadBody() {
    const absl::StatusOr<std::string_view> piece = RunTask(context_, server_->body().Read());
    return piece.ok() ? std::string(*piece) : absl::StatusCodeToString(piece.status().code());
  }
  absl::Status WriteHead(const ResponseHead& head, bool keep_alive = true) {
    return RunTask(context_, server_->WriteHead(head, keep_alive));
  }
  absl::Status WriteBody(std::string_view bytes, More more = More::kUnknown) {
    return RunTask(context_, server_->WriteBody(bytes, more));
  }
  absl::Status Finish(const Headers& trailers = {}) {
    return RunTask(context_, server_->FinishBody(trailers));
  }
  absl::Status Respond(std::string_view body, bool keep_alive = true, int status = 200) {
    ResponseHead head;
    head.status = status;
    return RunTask(context_, server_->WriteResponse(head, body, keep_alive));
  }
  absl::Status Switch(std::string_view first) {
    ResponseHead head;
    head.headers.Add("sec-websocket-accept", "x");
    return RunTask(context_, server_->SwitchToWebSocket(head, first));
  }
  static ResponseHead Head(int status, BodyFraming framing, uint64_t length = 0) {
    ResponseHead head;
    head.status = status;
    head.framing = framing;
    head.content_length = length;
    return head;
  }
  // What was written since the last call.
  std::string Written() {
    const std::string text = stream_->written().substr(written_);
    written_ = stream_->written().size();
    return text;
  }

  boost::asio::io_context context_{1};
  ContainerBudget budget_{ContainerLimits()};
  std::unique_ptr<MemoryStream> stream_, client_;
  std::unique_ptr<H1ServerConnection> server_;
  size_t written_ = 0;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_H1_SERVER_FIXTURE_H_
