#include "agent/proxy/splice_body.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "agent/proxy/http/h1_connection.h"
#include "agent/proxy/tcp_stream.h"
#include "agent/proxy/testing/run.h"
#include "agent/proxy/testing/sockets.h"

namespace sallyport::proxy {
namespace {

using std::chrono::milliseconds;

constexpr size_t kLong = 20'000'000;
constexpr std::string_view kNext = "HTTP/1.1 204 No Content\r\n\r\n";

std::string Pattern(size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i % 251);
  return bytes;
}

std::string AnswerHead(size_t length) {
  return "HTTP/1.1 200 OK\r\ncontent-length: " + std::to_string(length) + "\r\n\r\n";
}

std::string_view BodyIn(std::string_view answer) {
  constexpr std::string_view kEndOfHead = "\r\n\r\n";
  return answer.substr(answer.find(kEndOfHead) + kEndOfHead.size());
}

void SendAll(int socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) return;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

std::string ReceiveAll(int socket) {
  std::string all;
  std::string buffer(100'000, '\0');
  while (true) {
    const ssize_t count = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (count <= 0) return all;
    all.append(buffer, 0, static_cast<size_t>(count));
  }
}

// An answer on its way from an origin to a client, both of which are threads with a socket.
class SpliceBodyTest : public testing::Test {
 protected:
  struct Passed {
    SplicedBody end;
    size_t spliced = 0;
    absl::Status finished;
    std::optional<ResponseHead> next;
  };

  void Begin(const H1Timeouts& timeouts = {}) {
    server_stream_ = std::make_unique<TcpStream>(context_, std::move(client_.a));
    server_ = std::make_unique<H1ServerConnection>(server_stream_.get(), "", H1Limits{}, timeouts);
    origin_connection_ = std::make_unique<H1ClientConnection>(
        std::make_unique<TcpStream>(context_, std::move(origin_.a)), H1Limits{}, timeouts);
    SendAll(client_.b.get(), "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n");
  }
  PipePool& pool() { return boost::asio::use_service<PipePool>(context_); }

  // Passes one answer on as far as it can be spliced, and copies the rest.
  static Task<Passed> Pass(H1ServerConnection* client, H1ClientConnection* origin) {
    Passed passed;
    const H1ServerConnection::HeadResult request = co_await client->ReadHead();
    EXPECT_TRUE(std::holds_alternative<RequestHead>(request));
    EXPECT_TRUE((co_await origin->WriteHead(std::get<RequestHead>(request), "a.test")).ok());
    EXPECT_TRUE((co_await origin->FinishBody({})).ok());
    const absl::StatusOr<ResponseHead> head = co_await origin->ReadHead(milliseconds(20'000));
    EXPECT_TRUE(head.ok()) << head.status();
    EXPECT_TRUE((co_await client->WriteHead(*head, true)).ok());
    while (true) {
      if (CanSplice(origin->body().spliced(), client->spliced())) {
        const uint64_t before = client->body_bytes_sent();
        passed.end = co_await SpliceBody(origin->body().spliced(), client->spliced());
        passed.spliced += client->body_bytes_sent() - before;
        if (!passed.end.source.ok() || !passed.end.sink.ok()) co_return passed;
      }
      const absl::StatusOr<std::string_view> piece = co_await origin->body().Read();
      EXPECT_TRUE(piece.ok()) << piece.status();
      if (!piece.ok() || piece->empty()) break;
      passed.end.sink = co_await client->WriteBody(*piece);
      if (!passed.end.sink.ok()) co_return passed;
    }
    passed.finished = co_await client->FinishBody({});
    co_return passed;
  }
  Passed Pass() { return RunTask(context_, Pass(server_.get(), origin_connection_.get())); }

  boost::asio::io_context context_{1};
  Sockets client_ = TcpPair();
  Sockets origin_ = TcpPair();
  std::unique_ptr<TcpStream> server_stream_;
  std::unique_ptr<H1ServerConnection> server_;
  std::unique_ptr<H1ClientConnection> origin_connection_;
};

TEST_F(SpliceBodyTest, MovesTheBodyAndNothingBehindIt) {
  Begin();
  std::thread origin(
      [&] { SendAll(origin_.b.get(), AnswerHead(kLong) + Pattern(kLong) + std::string(kNext)); });
  std::string received;
  std::thread client([&] { received = ReceiveAll(client_.b.get()); });
  const Passed passed = Pass();
  EXPECT_TRUE(passed.finished.ok()) << passed.finished;
  // All but the last piece, and what came with the head.
  EXPECT_GE(passed.spliced, kLong - 100'000);
  EXPECT_EQ(server_->body_bytes_sent(), kLong);
  EXPECT_TRUE(server_->reusable());
  EXPECT_EQ(pool().borrowed(), 0U);
  origin.join();
  // The origin has spoken unasked: that is found, and not passed on.
  EXPECT_FALSE(origin_connection_->reusable() && origin_connection_->StillIdle());
  server_stream_->Close(Stream::How::kGraceful);
  client.join();
  EXPECT_TRUE(BodyIn(received) == Pattern(kLong)) << received.size();
}

TEST_F(SpliceBodyTest, ASlowSenderHoldsNoPipe) {
  Begin();
  SendAll(origin_.b.get(), AnswerHead(kLong));
  std::string received;
  std::optional<Passed> passed;
  Spawn(context_, Pass(server_.get(), origin_connection_.get()),
        [&](Passed result) { passed = std::move(result); });
  for (int i = 0; i < 3; ++i) {
    SendAll(origin_.b.get(), Pattern(100));
    for (int turns = 0; turns < 5; ++turns) {
      context_.run_one_for(milliseconds(20));
      EXPECT_EQ(pool().borrowed(), 0U);
    }
  }
  EXPECT_FALSE(passed.has_value());
  EXPECT_EQ(server_->body_bytes_sent(), 300U);
  ASSERT_EQ(::shutdown(origin_.b.get(), SHUT_WR), 0);
  while (!passed.has_value()) ASSERT_GT(context_.run_one_for(std::chrono::seconds(10)), 0U);
  EXPECT_EQ(passed->end.source.code(), absl::StatusCode::kDataLoss) << passed->end.source;
}

TEST_F(SpliceBodyTest, ASenderThatStallsIsGivenUp) {
  Begin({.body = milliseconds(50)});
  SendAll(origin_.b.get(), AnswerHead(kLong) + Pattern(100'000));
  std::thread client([&] { ReceiveAll(client_.b.get()); });
  const Passed passed = Pass();
  EXPECT_EQ(passed.end.source.code(), absl::StatusCode::kDeadlineExceeded) << passed.end.source;
  EXPECT_TRUE(passed.end.sink.ok());
  server_stream_->Close(Stream::How::kReset);
  client.join();
}

TEST_F(SpliceBodyTest, AReaderThatStallsIsGivenUp) {
  Begin({.body = milliseconds(50)});
  std::thread origin([&] { SendAll(origin_.b.get(), AnswerHead(kLong) + Pattern(kLong)); });
  const Passed passed = Pass();
  EXPECT_EQ(passed.end.sink.code(), absl::StatusCode::kDeadlineExceeded) << passed.end.sink;
  EXPECT_TRUE(passed.end.source.ok());
  // What is left in the pipe goes nowhere else.
  EXPECT_EQ(pool().borrowed(), 0U);
  EXPECT_EQ(pool().idle(), 0U);
  origin_connection_->Abort();
  origin.join();
}

// Slow enough that what a pipe holds takes longer than a piece may.
TEST_F(SpliceBodyTest, ASlowReaderHasItsTimeForEachPiece) {
  constexpr size_t kBytes = 1'000'000;
  for (const int socket : {client_.a.get(), client_.b.get()}) {
    const int small = 16 * 1024;
    ASSERT_EQ(::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    ASSERT_EQ(::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
  }
  Begin({.body = milliseconds(1000)});
  std::thread origin([&] { SendAll(origin_.b.get(), AnswerHead(kBytes) + Pattern(kBytes)); });
  std::optional<Passed> passed;
  Spawn(context_, Pass(server_.get(), origin_connection_.get()),
        [&](Passed result) { passed = std::move(result); });
  std::string received;
  std::string piece(32 * 1024, '\0');
  const auto receive = [&] {
    const ssize_t count = ::recv(client_.b.get(), piece.data(), piece.size(), MSG_DONTWAIT);
    if (count > 0) received.append(piece, 0, static_cast<size_t>(count));
  };
  for (int i = 0; i < 12 && !passed.has_value(); ++i) {
    context_.run_for(milliseconds(200));
    receive();
  }
  EXPECT_FALSE(passed.has_value());
  while (!passed.has_value()) {
    ASSERT_GT(context_.run_one_for(std::chrono::seconds(10)), 0U);
    receive();
  }
  EXPECT_TRUE(passed->finished.ok()) << passed->finished << passed->end.sink;
  EXPECT_GE(passed->spliced, kBytes / 2);
  origin.join();
  server_stream_->Close(Stream::How::kGraceful);
  received += ReceiveAll(client_.b.get());
  EXPECT_TRUE(BodyIn(received) == Pattern(kBytes)) << received.size();
}

TEST_F(SpliceBodyTest, AReaderThatGoesIsNoticed) {
  Begin();
  std::thread origin([&] { SendAll(origin_.b.get(), AnswerHead(kLong) + Pattern(kLong)); });
  const linger reset{1, 0};
  ASSERT_EQ(::setsockopt(client_.b.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
  client_.b.Reset();
  const Passed passed = Pass();
  EXPECT_EQ(passed.end.sink.code(), absl::StatusCode::kUnavailable) << passed.end.sink;
  origin_connection_->Abort();
  origin.join();
}

TEST_F(SpliceBodyTest, ShortBodiesAreCopied) {
  Begin();
  SendAll(origin_.b.get(), AnswerHead(30'000) + Pattern(30'000));
  std::string received;
  std::thread client([&] { received = ReceiveAll(client_.b.get()); });
  const Passed passed = Pass();
  EXPECT_TRUE(passed.finished.ok()) << passed.finished;
  EXPECT_EQ(passed.spliced, 0U);
  EXPECT_TRUE(origin_connection_->reusable() && origin_connection_->StillIdle());
  server_stream_->Close(Stream::How::kGraceful);
  client.join();
  EXPECT_TRUE(BodyIn(received) == Pattern(30'000)) << received.size();
}

}  // namespace
}  // namespace sallyport::proxy
