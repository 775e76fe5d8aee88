#include <gtest/gtest.h>
#include <sys/socket.h>

#include "agent/proxy/http/h1_connection.h"
#include "agent/proxy/tcp_stream.h"
#include "agent/proxy/testing/memory_stream.h"
#include "agent/proxy/testing/run.h"
#include "agent/proxy/testing/sockets.h"

namespace sallyport::proxy {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view kPost = "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
constexpr std::string_view kExpect =
    "POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
constexpr std::string_view kWebSocket =
    "GET /w HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

class H1ServerTest : public testing::Test {
 protected:
  H1ServerTest() {
    std::tie(stream_, client_) = MemoryStream::MakePair(context_);
    Restart({}, "");
  }
  void Restart(const H1Timeouts& timeouts, std::string early) {
    server_ =
        std::make_unique<H1ServerConnection>(stream_.get(), std::move(early), H1Limits{}, timeouts);
  }
  // The request's target, "closed", or the status of what is bad.
  std::string ReadHead() {
    const H1ServerConnection::HeadResult result = RunTask(context_, server_->ReadHead());
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
  std::unique_ptr<MemoryStream> stream_, client_;
  std::unique_ptr<H1ServerConnection> server_;
  size_t written_ = 0;
};

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
  Start(context_, read(server_.get(), &piece));
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

TEST_F(H1ServerTest, HeadIsHeldForTheFirstBytesOfTheBody) {
  stream_->Receive(kGet);
  EXPECT_EQ(ReadHead(), "/a");
  EXPECT_TRUE(WriteHead(Head(200, BodyFraming::kUntilClose)).ok());
  EXPECT_EQ(Written(), "");
  EXPECT_TRUE(WriteBody("hello").ok());
  EXPECT_EQ(Written(), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
  EXPECT_EQ(stream_->write_calls(), 1);
  Headers trailers;
  trailers.Add("x-sum", "1");
  trailers.Add("content-length", "1");
  EXPECT_TRUE(Finish(trailers).ok());
  EXPECT_EQ(Written(), "0\r\nx-sum: 1\r\n\r\n");
}

TEST_F(H1ServerTest, FlushSendsTheHeadAlone) {
  stream_->Receive(kGet);
  EXPECT_EQ(ReadHead(), "/a");
  EXPECT_TRUE(WriteHead(Head(200, BodyFraming::kLength, 3)).ok());
  EXPECT_TRUE(RunTask(context_, server_->Flush()).ok());
  EXPECT_EQ(Written(), "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n");
  EXPECT_TRUE(RunTask(context_, server_->Flush()).ok());
  EXPECT_EQ(stream_->write_calls(), 1);
}

TEST_F(H1ServerTest, PiecesThatFollowAtOnceShareAWrite) {
  stream_->Receive(kGet);
  EXPECT_EQ(ReadHead(), "/a");
  EXPECT_TRUE(WriteHead(Head(200, BodyFraming::kChunked)).ok());
  EXPECT_TRUE(WriteBody("a", More::kAtOnce).ok());
  EXPECT_TRUE(WriteBody("b", More::kAtOnce).ok());
  EXPECT_EQ(Written(), "");
  EXPECT_TRUE(Finish().ok());
  EXPECT_EQ(Written(),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n0\r\n\r\n");
  EXPECT_EQ(stream_->write_calls(), 1);
}

TEST_F(H1ServerTest, LargePiecesAreNotHeld) {
  stream_->Receive(kGet);
  EXPECT_EQ(ReadHead(), "/a");
  EXPECT_TRUE(WriteHead(Head(200, BodyFraming::kLength, 10'000)).ok());
  EXPECT_TRUE(WriteBody(std::string(10'000, 'x'), More::kAtOnce).ok());
  EXPECT_EQ(stream_->write_calls(), 1);
}

TEST_F(H1ServerTest, DeclaredLengthsAreKept) {
  stream_->Receive(kGet);
  EXPECT_EQ(ReadHead(), "/a");
  EXPECT_TRUE(WriteHead(Head(200, BodyFraming::kLength, 3)).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(WriteBody("1234")));
  EXPECT_EQ(Written(), "");
  EXPECT_TRUE(WriteBody("12").ok());
  EXPECT_TRUE(absl::IsInvalidArgument(Finish()));
  EXPECT_FALSE(server_->reusable());
  EXPECT_TRUE(WriteBody("3").ok());
  EXPECT_TRUE(Finish().ok());
  EXPECT_TRUE(absl::IsInvalidArgument(WriteBody("4")));
  EXPECT_TRUE(server_->reusable());
}

TEST_F(H1ServerTest, OnlyFinalAnswersOnce) {
  stream_->Receive(kGet);
  EXPECT_EQ(ReadHead(), "/a");
  EXPECT_TRUE(absl::IsInvalidArgument(WriteHead(Head(101, BodyFraming::kNone))));
  EXPECT_TRUE(absl::IsInvalidArgument(WriteHead(Head(600, BodyFraming::kNone))));
  EXPECT_TRUE(WriteHead(Head(200, BodyFraming::kNone)).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(WriteHead(Head(200, BodyFraming::kNone))));
}

struct NoBodyCase {
  const char* name;
  std::string_view method;
  int status;
  BodyFraming framing;
  bool announced_as_header;
  std::string_view written;
};

const NoBodyCase kNoBodyCases[] = {
    {"HeadLength", "HEAD", 200, BodyFraming::kLength, false, "200 OK\r\nContent-Length: 7\r\n\r\n"},
    {"HeadHeader", "HEAD", 200, BodyFraming::kNone, true, "200 OK\r\nContent-Length: 7\r\n\r\n"},
    {"HeadUnknown", "HEAD", 200, BodyFraming::kNone, false, "200 OK\r\n\r\n"},
    {"HeadChunked", "HEAD", 200, BodyFraming::kChunked, true, "200 OK\r\n\r\n"},
    {"NotModified", "GET", 304, BodyFraming::kNone, true,
     "304 Not Modified\r\nContent-Length: 7\r\n\r\n"},
    {"NoContent", "GET", 204, BodyFraming::kLength, true, "204 No Content\r\n\r\n"},
    {"GetNone", "GET", 200, BodyFraming::kNone, true, "200 OK\r\nContent-Length: 0\r\n\r\n"},
};

class NoBodyTest : public H1ServerTest, public testing::WithParamInterface<NoBodyCase> {};
INSTANTIATE_TEST_SUITE_P(, NoBodyTest, testing::ValuesIn(kNoBodyCases),
                         [](const auto& param) { return param.param.name; });

TEST_P(NoBodyTest, SendsTheHeadOnly) {
  const NoBodyCase& c = GetParam();
  stream_->Receive(std::string(c.method) + " / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(ReadHead(), "/");
  ResponseHead head = Head(c.status, c.framing, 7);
  if (c.announced_as_header) head.headers.Add("content-length", "7");
  EXPECT_TRUE(WriteHead(head).ok());
  EXPECT_EQ(WriteBody("1234567").ok(), c.status != 200 || c.method == "HEAD");
  EXPECT_TRUE(Finish().ok());
  EXPECT_EQ(Written(), "HTTP/1.1 " + std::string(c.written));
  EXPECT_EQ(server_->body_bytes_sent(), 0u);
  EXPECT_TRUE(server_->reusable());
}

// RFC 9110 section 6.5.1.
TEST_F(H1ServerTest, TrailersComeInsteadOfALengthToWhomTakesThem) {
  const std::string of_length = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
  const struct {
    const char* request;
    std::string answer;
  } kCases[] = {
      {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", of_length},
      {"GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: te\r\n\r\n",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n"},
      {"HEAD / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: te\r\n\r\n",
       of_length.substr(0, of_length.size() - 3)},
      {"GET / HTTP/1.0\r\nHost: a\r\nTE: trailers\r\n\r\n",
       "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"},
  };
  ResponseHead head = Head(200, BodyFraming::kLength, 3);
  head.may_have_trailers = true;
  Headers trailers;
  trailers.Add("x-sum", "1");
  for (const auto& c : kCases) {
    stream_->Receive(c.request);
    EXPECT_EQ(ReadHead(), "/") << c.request;
    EXPECT_TRUE(WriteHead(head).ok());
    EXPECT_TRUE(WriteBody("abc").ok());
    EXPECT_TRUE(Finish(trailers).ok());
    EXPECT_EQ(Written(), c.answer) << c.request;
  }
}

TEST_F(H1ServerTest, Http10GetsNoChunks) {
  stream_->Receive("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(ReadHead(), "/");
  EXPECT_TRUE(WriteHead(Head(200, BodyFraming::kChunked)).ok());
  EXPECT_TRUE(WriteBody("abc").ok());
  EXPECT_TRUE(Finish().ok());
  EXPECT_EQ(Written(), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc");
  EXPECT_FALSE(server_->reusable());
}

TEST_F(H1ServerTest, Http10KeepsOnlyIfAsked) {
  stream_->Receive("GET /1 HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
  stream_->Receive("GET /2 HTTP/1.0\r\nHost: a\r\n\r\n");
  EXPECT_EQ(ReadHead(), "/1");
  EXPECT_TRUE(Respond("x").ok());
  EXPECT_EQ(Written(), "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nx");
  EXPECT_EQ(ReadHead(), "/2");
  EXPECT_TRUE(Respond("y").ok());
  EXPECT_EQ(Written(), "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\ny");
  EXPECT_EQ(ReadHead(), "closed");
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

TEST_F(H1ServerTest, ClientThatIsGoneFailsTheWrite) {
  stream_->Receive(kGet);
  EXPECT_EQ(ReadHead(), "/a");
  client_->Close(Stream::How::kReset);
  EXPECT_TRUE(absl::IsUnavailable(Respond("x")));
  EXPECT_FALSE(server_->reusable());
}

struct Given {
  const char* name;
  std::string request;
  bool reset = false;
  bool answered = false;  // The head has been sent.
  bool abandoned = false;
  std::string told = "";  // The client, because of it.
};

TEST_F(H1ServerTest, NoticesThatNobodyWaitsForTheAnswer) {
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

TEST_F(H1ServerTest, AClientThatClosedItsHalfGetsItsAnswer) {
  stream_->Receive(kGet);
  EXPECT_EQ(ReadHead(), "/a");
  const AbandonmentWatch watch(server_.get(), [] {});
  stream_->ReceiveEnd();
  RunReady(context_);
  EXPECT_TRUE(Respond("x").ok());
  EXPECT_EQ(Written(), std::string(kContinue) + "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
}

TEST_F(H1ServerTest, AConnectionMayGoWhileItsClientIsAsked) {
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

TEST_F(H1ServerTest, ClientThatDoesNotReadFailsTheWrite) {
  Restart({.body = milliseconds(10)}, "");
  stream_->set_faults({.stall_write_at = 3});
  stream_->Receive(kGet);
  EXPECT_EQ(ReadHead(), "/a");
  EXPECT_TRUE(absl::IsDeadlineExceeded(Respond("x")));
}

}  // namespace
}  // namespace sallyport::proxy
