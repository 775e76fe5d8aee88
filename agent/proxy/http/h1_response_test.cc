// What is written in answer to a request.

#include <string>
#include <string_view>

#include "agent/proxy/http/h1_server_fixture.h"

namespace sallyport::proxy {
namespace {

using std::chrono::milliseconds;

class H1ResponseTest : public H1ServerTest {};

TEST_F(H1ResponseTest, HeadIsHeldForTheFirstBytesOfTheBody) {
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

TEST_F(H1ResponseTest, FlushSendsTheHeadAlone) {
  stream_->Receive(kGet);
  EXPECT_EQ(ReadHead(), "/a");
  EXPECT_TRUE(WriteHead(Head(200, BodyFraming::kLength, 3)).ok());
  EXPECT_TRUE(RunTask(context_, server_->Flush()).ok());
  EXPECT_EQ(Written(), "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n");
  EXPECT_TRUE(RunTask(context_, server_->Flush()).ok());
  EXPECT_EQ(stream_->write_calls(), 1);
}

TEST_F(H1ResponseTest, PiecesThatFollowAtOnceShareAWrite) {
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

TEST_F(H1ResponseTest, LargePiecesAreNotHeld) {
  stream_->Receive(kGet);
  EXPECT_EQ(ReadHead(), "/a");
  EXPECT_TRUE(WriteHead(Head(200, BodyFraming::kLength, 10'000)).ok());
  EXPECT_TRUE(WriteBody(std::string(10'000, 'x'), More::kAtOnce).ok());
  EXPECT_EQ(stream_->write_calls(), 1);
}

TEST_F(H1ResponseTest, DeclaredLengthsAreKept) {
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

TEST_F(H1ResponseTest, OnlyFinalAnswersOnce) {
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
TEST_F(H1ResponseTest, TrailersComeInsteadOfALengthToWhomTakesThem) {
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

TEST_F(H1ResponseTest, Http10GetsNoChunks) {
  stream_->Receive("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(ReadHead(), "/");
  EXPECT_TRUE(WriteHead(Head(200, BodyFraming::kChunked)).ok());
  EXPECT_TRUE(WriteBody("abc").ok());
  EXPECT_TRUE(Finish().ok());
  EXPECT_EQ(Written(), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc");
  EXPECT_FALSE(server_->reusable());
}

TEST_F(H1ResponseTest, Http10KeepsOnlyIfAsked) {
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

TEST_F(H1ResponseTest, ClientThatIsGoneFailsTheWrite) {
  stream_->Receive(kGet);
  EXPECT_EQ(ReadHead(), "/a");
  client_->Close(Stream::How::kReset);
  EXPECT_TRUE(absl::IsUnavailable(Respond("x")));
  EXPECT_FALSE(server_->reusable());
}

TEST_F(H1ResponseTest, ClientThatDoesNotReadFailsTheWrite) {
  Restart({.body = milliseconds(10)}, "");
  stream_->set_faults({.stall_write_at = 3});
  stream_->Receive(kGet);
  EXPECT_EQ(ReadHead(), "/a");
  EXPECT_TRUE(absl::IsDeadlineExceeded(Respond("x")));
}

}  // namespace
}  // namespace sallyport::proxy
