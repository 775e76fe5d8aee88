// Requests, one after the other.

#include <sys/socket.h>

#include <boost/asio/post.hpp>
#include <functional>
#include <utility>

#include "agent/proxy/http/h1_server_fixture.h"
#include "agent/proxy/tcp_stream.h"
#include "agent/proxy/testing/sockets.h"

namespace sallyport::proxy {
namespace {

using std::chrono::milliseconds;

Task<void> ReadTarget(H1ServerConnection* server, ContainerBudget* budget, std::string* target) {
  const H1ServerConnection::HeadResult result = co_await server->ReadHead(budget);
  *target = std::get<RequestHead>(result).target;
}

TEST_F(H1ServerTest, ServesOneAfterTheOther) {
  stream_->Receive(kGet);
  EXPECT_EQ(ReadHead(), "/a");
  EXPECT_TRUE(server_->body_complete());
  EXPECT_EQ(ReadBody(), "");
  EXPECT_FALSE(server_->response_begun());
  EXPECT_TRUE(Respond("hello").ok());
  EXPECT_TRUE(server_->response_begun());
  EXPECT_EQ(Written(), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_EQ(stream_->write_calls(), 1);
  EXPECT_EQ(server_->body_bytes_sent(), 5u);
  EXPECT_TRUE(server_->reusable());
  stream_->Receive(kPost);
  stream_->Receive("12345");
  EXPECT_EQ(ReadHead(), "/p");
  EXPECT_EQ(server_->body_bytes_sent(), 0u);
  EXPECT_EQ(ReadBody(), "12345");
  EXPECT_EQ(ReadBody(), "");
  EXPECT_EQ(server_->body_bytes_received(), 5u);
  EXPECT_TRUE(Respond("", false).ok());
  EXPECT_EQ(Written(), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  EXPECT_FALSE(server_->reusable());
  EXPECT_EQ(ReadHead(), "closed");
}

TEST_F(H1ServerTest, EarlyBytesComeFirst) {
  Restart({}, std::string(kGet.substr(0, 10)));
  stream_->Receive(kGet.substr(10));
  EXPECT_EQ(ReadHead(), "/a");
}

TEST_F(H1ServerTest, ALargeHeadNeedsRoom) {
  const std::string large =
      std::string(kGet.substr(0, kGet.size() - 2)) + "X: " + std::string(20'000, 'x') + "\r\n";
  stream_->Receive(large);
  std::string target;
  Spawn(context_, ReadTarget(server_.get(), &budget_, &target));
  RunReady(context_);
  EXPECT_EQ(budget_.held(Limit::kMemoryBytes), 2 * 60 * 1024);
  stream_->Receive("\r\n");
  RunReady(context_);
  EXPECT_EQ(target, "/a");
  EXPECT_EQ(budget_.held(Limit::kMemoryBytes), 0);
  EXPECT_TRUE(Respond("").ok());

  const int64_t most = budget_.limits()[Limit::kMemoryBytes];
  const Gauge::Token others = budget_.Hold(Limit::kMemoryBytes, most);
  stream_->Receive(kGet);
  EXPECT_EQ(ReadHead(), "/a");
  EXPECT_TRUE(Respond("").ok());
  EXPECT_EQ(budget_.exceeded(Limit::kMemoryBytes), 0u);
  stream_->Receive(large);
  EXPECT_EQ(ReadHead(), "503");
  EXPECT_EQ(budget_.exceeded(Limit::kMemoryBytes), 1u);
  EXPECT_TRUE(Respond("", true, 503).ok());
  EXPECT_FALSE(server_->reusable());
}

TEST_F(H1ServerTest, H129PipelinedRequestsStayInOrder) {
  std::string all;
  for (int i = 0; i < 10; ++i) all += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\n\r\n";
  stream_->Receive(all);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(ReadHead(), "/" + std::to_string(i));
    EXPECT_TRUE(Respond("x", true, i == 5 ? 520 : 200).ok());
  }
}

TEST_F(H1ServerTest, H129NothingAfterConnectionCloseIsRead) {
  stream_->Receive("GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  stream_->Receive(kGet);
  EXPECT_EQ(ReadHead(), "/1");
  EXPECT_TRUE(Respond("x", true).ok());
  EXPECT_NE(Written().find("Connection: close"), std::string::npos);
  EXPECT_EQ(ReadHead(), "closed");
}

TEST_F(H1ServerTest, H129GarbageAfterARequestIsRefused) {
  stream_->Receive(kGet);
  stream_->Receive("garbage\r\n\r\n");
  EXPECT_EQ(ReadHead(), "/a");
  EXPECT_TRUE(Respond("x").ok());
  EXPECT_EQ(ReadHead(), "400");
  EXPECT_TRUE(Respond("bad", true, 400).ok());
  EXPECT_NE(Written().find("Connection: close"), std::string::npos);
  EXPECT_EQ(ReadHead(), "closed");
}

TEST_F(H1ServerTest, H135AnUnreadBodyIsNeverTakenForARequest) {
  stream_->Receive("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(kGet.size()) +
                   "\r\n\r\n");
  stream_->Receive(kGet);
  EXPECT_EQ(ReadHead(), "/");
  EXPECT_TRUE(Respond("x").ok());
  EXPECT_TRUE(server_->reusable());
  EXPECT_FALSE(server_->body_complete());
  EXPECT_EQ(ReadHead(), "closed");
}

TEST_F(H1ServerTest, DrainsWhatIsLeftOfABody) {
  stream_->Receive(kPost);
  stream_->Receive("12345");
  stream_->Receive(kGet);
  EXPECT_EQ(ReadHead(), "/p");
  EXPECT_TRUE(Respond("x").ok());
  EXPECT_TRUE(RunTask(context_, server_->DrainBody(5, milliseconds(1000))));
  EXPECT_EQ(ReadHead(), "/a");
  EXPECT_TRUE(RunTask(context_, server_->DrainBody(0, milliseconds(1000))));
}

TEST_F(H1ServerTest, CarriesATunnel) {
  Restart({}, "", H1Limits{.connect = true});
  stream_->Receive("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\nearly");
  EXPECT_EQ(ReadHead(), "");
  EXPECT_TRUE(RunTask(context_, server_->AcceptConnect()).ok());
  EXPECT_EQ(Written(), "HTTP/1.1 200 Connection established\r\n\r\n");
  EXPECT_EQ(server_->TakeBuffered(), "early");
  EXPECT_FALSE(server_->reusable());
  EXPECT_FALSE(RunTask(context_, server_->AcceptConnect()).ok());
}

TEST_F(H1ServerTest, NothingBehindARefusedConnectIsRead) {
  Restart({}, "", H1Limits{.connect = true});
  stream_->Receive("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n");
  stream_->Receive(kGet);
  EXPECT_EQ(ReadHead(), "");
  EXPECT_TRUE(Respond("no", true, 403).ok());
  EXPECT_FALSE(server_->reusable());
  EXPECT_EQ(ReadHead(), "closed");
}

TEST_F(H1ServerTest, AgreesToNoTunnelThatNobodyAskedFor) {
  stream_->Receive(kGet);
  EXPECT_EQ(ReadHead(), "/a");
  EXPECT_FALSE(RunTask(context_, server_->AcceptConnect()).ok());
  EXPECT_EQ(Written(), "");
}

TEST_F(H1ServerTest, DrainGivesUp) {
  stream_->Receive("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n123456");
  EXPECT_EQ(ReadHead(), "/");
  EXPECT_FALSE(RunTask(context_, server_->DrainBody(5, milliseconds(1000))));
  EXPECT_FALSE(RunTask(context_, server_->DrainBody(1000, milliseconds(10))));
}

TEST_F(H1ServerTest, H127AsksForTheBodyWhenItIsRead) {
  stream_->Receive(kExpect);
  EXPECT_EQ(ReadHead(), "/e");
  EXPECT_EQ(Written(), "");
  std::string piece;
  auto read = [](H1ServerConnection* server, std::string* out) -> Task<void> {
    const absl::StatusOr<std::string_view> got = co_await server->body().Read();
    *out = got.ok() ? std::string(*got) : "error";
  };
  Spawn(context_, read(server_.get(), &piece));
  RunReady(context_);
  EXPECT_EQ(Written(), kContinue);
  stream_->Receive("12345");
  RunReady(context_);
  EXPECT_EQ(piece, "12345");
  EXPECT_TRUE(Respond("x").ok());
  EXPECT_TRUE(server_->reusable());
}

TEST_F(H1ServerTest, DoesNotAskForWhatHasComeAlready) {
  stream_->Receive(kExpect);
  stream_->Receive("12345");
  EXPECT_EQ(ReadHead(), "/e");
  EXPECT_EQ(ReadBody(), "12345");
  EXPECT_EQ(Written(), "");
}

TEST_F(H1ServerTest, H128AnsweredBeforeItWasAskedTheClientIsLeft) {
  stream_->Receive(kExpect);
  EXPECT_EQ(ReadHead(), "/e");
  EXPECT_TRUE(Respond("no", true, 403).ok());
  EXPECT_EQ(Written(),
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
  stream_->Receive(kGet);
  EXPECT_FALSE(RunTask(context_, server_->DrainBody(1000, milliseconds(1000))));
  EXPECT_EQ(ReadHead(), "closed");
}

TEST_F(H1ServerTest, ABodyIsNotAskedForOnceTheResponseHasBegun) {
  stream_->Receive(kExpect);
  EXPECT_EQ(ReadHead(), "/e");
  EXPECT_TRUE(WriteHead(Head(200, BodyFraming::kChunked)).ok());
  EXPECT_EQ(ReadBody(), "FAILED_PRECONDITION");
}

TEST_F(H1ServerTest, AwaitsARequestOverASocket) {
  Sockets sockets = UnixPair();
  TcpStream stream(context_, std::move(sockets.a));
  H1ServerConnection server(&stream, "", H1Limits{}, {.idle = milliseconds(20)});
  EXPECT_FALSE(RunTask(context_, server.AwaitRequest()));
  const std::string two = std::string(kGet) + std::string(kGet);
  ASSERT_EQ(::send(sockets.b.get(), two.data(), two.size(), 0), static_cast<ssize_t>(two.size()));
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(RunTask(context_, server.AwaitRequest()));
    const H1ServerConnection::HeadResult result = RunTask(context_, server.ReadHead());
    EXPECT_TRUE(std::holds_alternative<RequestHead>(result));
    EXPECT_TRUE(
        RunTask(context_, server.WriteResponse(Head(200, BodyFraming::kNone), "", true)).ok());
  }
  EXPECT_FALSE(RunTask(context_, server.AwaitRequest()));
  sockets.b.Reset();
  EXPECT_TRUE(RunTask(context_, server.AwaitRequest()));
  EXPECT_TRUE(
      std::holds_alternative<H1ServerConnection::Closed>(RunTask(context_, server.ReadHead())));
}

// Once what is spawned next waits.
void Later(boost::asio::io_context& context, std::function<void()> work) {
  boost::asio::post(context,
                    [&context, work = std::move(work)] { boost::asio::post(context, work); });
}

TEST_F(H1ServerTest, ToldToLeaveSoonItAwaitsARequestForSoLong) {
  Sockets sockets = UnixPair();
  TcpStream stream(context_, std::move(sockets.a));
  H1ServerConnection server(&stream, "", H1Limits{}, {.idle = std::chrono::hours(1)});
  Later(context_, [&] { server.LeaveSoon(milliseconds(10)); });
  EXPECT_FALSE(RunTask(context_, server.AwaitRequest()));
  // A request that has begun has its time.
  Restart({.head = std::chrono::hours(1)}, "GET / HT");
  Later(context_, [&] {
    server_->LeaveSoon(milliseconds(0));
    stream_->Receive("TP/1.1\r\nhost: a\r\n\r\n");
  });
  EXPECT_EQ(ReadHead(), "/");
}

TEST_F(H1ServerTest, SilenceAndEndAreClosed) {
  Restart({.idle = milliseconds(10)}, "");
  EXPECT_EQ(ReadHead(), "closed");
  Restart({}, "");
  stream_->Receive("\r\n");
  stream_->ReceiveEnd();
  EXPECT_EQ(ReadHead(), "closed");
}

TEST_F(H1ServerTest, H139AHeadHasItsTime) {
  Restart({.head = milliseconds(10)}, "");
  stream_->Receive(kGet.substr(0, 20));
  EXPECT_EQ(ReadHead(), "408");
  EXPECT_TRUE(Respond("slow", true, 408).ok());
  EXPECT_EQ(ReadHead(), "closed");
}

TEST_F(H1ServerTest, AHeadThatBreaksOffIsNobodysRequest) {
  stream_->Receive(kGet.substr(0, 20));
  stream_->ReceiveEnd();
  EXPECT_EQ(ReadHead(), "0");
}

TEST_F(H1ServerTest, OneByteAtATime) {
  stream_->set_faults({.max_read = 1});
  for (int i = 0; i < 2; ++i) {
    stream_->Receive(kPost);
    stream_->Receive("12345");
    EXPECT_EQ(ReadHead(), "/p");
    std::string body;
    for (std::string piece = ReadBody(); !piece.empty(); piece = ReadBody()) body += piece;
    EXPECT_EQ(body, "12345");
    EXPECT_TRUE(Respond("x").ok());
  }
}

TEST_F(H1ServerTest, SwitchesToAWebSocketInOneWrite) {
  stream_->Receive(kWebSocket);
  stream_->Receive("early");
  EXPECT_EQ(ReadHead(), "/w");
  EXPECT_TRUE(server_->body_complete());
  EXPECT_TRUE(Switch("first").ok());
  EXPECT_EQ(Written(),
            "HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: x\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst");
  EXPECT_EQ(stream_->write_calls(), 1);
  EXPECT_EQ(server_->TakeBuffered(), "early");
  EXPECT_EQ(server_->TakeBuffered(), "");
  EXPECT_FALSE(server_->reusable());
  EXPECT_EQ(ReadHead(), "closed");
}

TEST_F(H1ServerTest, NobodyGetsAWebSocketUnasked) {
  stream_->Receive(kGet);
  EXPECT_EQ(ReadHead(), "/a");
  EXPECT_TRUE(absl::IsInvalidArgument(Switch("")));
  EXPECT_EQ(Written(), "");
  EXPECT_TRUE(Respond("x").ok());
  stream_->Receive(kWebSocket);
  EXPECT_EQ(ReadHead(), "/w");
  EXPECT_TRUE(Respond("x").ok());
  EXPECT_TRUE(absl::IsInvalidArgument(Switch("")));
}

TEST_F(H1ServerTest, TU04NothingBehindARefusedWebSocketIsTakenForARequest) {
  stream_->Receive(kWebSocket);
  stream_->Receive(kGet);
  EXPECT_EQ(ReadHead(), "/w");
  EXPECT_TRUE(Respond("no", true, 403).ok());
  EXPECT_EQ(Written(),
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
  EXPECT_EQ(ReadHead(), "closed");
}

TEST_F(H1ServerTest, LongHeadsAndLinesAreRefused) {
  stream_->set_faults({.max_read = 100});
  stream_->Receive("GET /" + std::string(9000, 'a'));
  EXPECT_EQ(ReadHead(), "414");
  Restart({}, "");
  std::tie(stream_, client_) = MemoryStream::MakePair(context_);
  Restart({}, "");
  stream_->Receive("GET / HTTP/1.1\r\nHost: a\r\nx: " + std::string(62'000, 'a'));
  EXPECT_EQ(ReadHead(), "431");
}

}  // namespace
}  // namespace sallyport::proxy
