// Clients that go while their request waits.

#include <sys/socket.h>

#include "agent/proxy/http/h1_server_fixture.h"
#include "agent/proxy/tcp_stream.h"
#include "agent/proxy/testing/sockets.h"

namespace sallyport::proxy {
namespace {

using std::chrono::milliseconds;

class H1HangUpTest : public H1ServerTest {};

struct Given {
  const char* name;
  std::string request;
  bool reset = false;
  bool answered = false;  // The head has been sent.
  bool abandoned = false;
  std::string told = "";  // The client, because of it.
};

TEST_F(H1HangUpTest, NoticesThatNobodyWaitsForTheAnswer) {
  const std::string get(kGet);
  const Given kCases[] = {
      {.name = "reset", .request = get, .reset = true, .abandoned = true},
      {.name = "reset behind the next request",
       .request = get + get,
       .reset = true,
       .abandoned = true},
      {.name = "closed or half closed", .request = get, .told = std::string(kContinue)},
      {.name = "the same with the next request there",
       .request = get + get,
       .told = std::string(kContinue)},
      {.name = "HTTP/1.0 knows no interim answers",
       .request = "GET /a HTTP/1.0\r\nHost: a\r\n\r\n"},
      {.name = "half closed while it is answered", .request = get, .answered = true},
      {.name = "reset while it is answered",
       .request = get,
       .reset = true,
       .answered = true,
       .abandoned = true},
      {.name = "without the body that it was to send",
       .request = std::string(kExpect),
       .abandoned = true},
  };
  for (const Given& c : kCases) {
    for (const bool before : {false, true}) {
      std::tie(stream_, client_) = MemoryStream::MakePair(context_);
      Restart({}, "");
      written_ = 0;
      stream_->Receive(c.request);
      EXPECT_NE(ReadHead(), "closed") << c.name;
      if (c.answered) {
        EXPECT_TRUE(WriteHead(Head(200, BodyFraming::kChunked)).ok());
        EXPECT_TRUE(RunTask(context_, server_->Flush()).ok());
      }
      Written();
      const auto hang_up = [&] {
        if (c.reset) {
          client_->Close(Stream::How::kReset);
        } else {
          stream_->ReceiveEnd();
        }
        RunReady(context_);
      };
      if (before) hang_up();
      {
        bool ended = false;
        const AbandonmentWatch watch(server_.get(), [&ended] { ended = true; });
        if (!before) hang_up();
        RunReady(context_);
        EXPECT_EQ(watch.abandoned(), c.abandoned) << c.name;
        EXPECT_EQ(ended, c.abandoned) << c.name;
        EXPECT_EQ(Written(), c.told) << c.name;
      }
      // The next who watches does not have it asked once more.
      const AbandonmentWatch watch(server_.get(), [] {});
      RunReady(context_);
      EXPECT_EQ(Written(), "") << c.name;
    }
  }
}

TEST_F(H1HangUpTest, AClientThatClosedItsHalfGetsItsAnswer) {
  stream_->Receive(kGet);
  EXPECT_EQ(ReadHead(), "/a");
  const AbandonmentWatch watch(server_.get(), [] {});
  stream_->ReceiveEnd();
  RunReady(context_);
  EXPECT_TRUE(Respond("x").ok());
  EXPECT_EQ(Written(), std::string(kContinue) + "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
}

TEST_F(H1HangUpTest, AConnectionThatIsClosedHereGivesItsRequestUp) {
  stream_->Receive(kGet);
  EXPECT_EQ(ReadHead(), "/a");
  const AbandonmentWatch watch(server_.get(), [] {});
  server_->CloseNow();
  EXPECT_TRUE(watch.abandoned());
  EXPECT_TRUE(client_->was_reset());
}

TEST_F(H1HangUpTest, ARequestOfAConnectionThatWasClosedHereIsNotBegun) {
  Sockets pair = UnixPair();
  TcpStream stream(context_, std::move(pair.a));
  H1ServerConnection server(&stream, std::string(kGet), H1Limits{}, H1Timeouts{});
  EXPECT_TRUE(std::holds_alternative<RequestHead>(RunTask(context_, server.ReadHead())));
  server.CloseNow();
  const AbandonmentWatch watch(&server, [] {});
  EXPECT_TRUE(watch.abandoned());
}

TEST_F(H1HangUpTest, AConnectionMayGoWhileItsClientIsAsked) {
  stream_->Receive(kGet);
  EXPECT_EQ(ReadHead(), "/a");
  {
    const AbandonmentWatch watch(server_.get(), [] {});
    stream_->ReceiveEnd();
  }
  server_ = nullptr;
  stream_ = nullptr;
  RunReady(context_);
}

}  // namespace
}  // namespace sallyport::proxy
