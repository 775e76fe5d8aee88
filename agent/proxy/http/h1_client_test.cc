#include <gtest/gtest.h>

#include "agent/proxy/http/h1_connection.h"
#include "agent/proxy/testing/memory_stream.h"
#include "agent/proxy/testing/run.h"

namespace sallyport::proxy {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

constexpr std::string_view kSwitch =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

class H1ClientTest : public testing::Test {
 protected:
  void SetUp() override {
    auto [stream, origin] = MemoryStream::MakePair(context_);
    stream_ = stream.get();
    origin_ = std::move(origin);
    client_ = std::make_unique<H1ClientConnection>(std::move(stream), H1Limits{},
                                                   H1Timeouts{.body = milliseconds(20)});
  }
  absl::Status WriteHead(std::string_view method, BodyFraming framing = BodyFraming::kNone,
                         uint64_t length = 0, std::string_view target = "/t") {
    RequestHead head;
    head.method = method;
    head.target = target;
    head.framing = framing;
    head.content_length = length;
    return RunTask(context_, client_->WriteHead(head, "good.test"));
  }
  // A request whose body the peer is asked about.
  absl::Status WriteAskingHead(BodyFraming framing, uint64_t length = 0) {
    RequestHead head;
    head.method = "POST";
    head.target = "/t";
    head.framing = framing;
    head.content_length = length;
    head.expect_continue = true;
    return RunTask(context_, client_->WriteHead(head, "good.test"));
  }
  absl::Status WriteBody(std::string_view bytes) {
    return RunTask(context_, client_->WriteBody(bytes));
  }
  absl::Status Finish() { return RunTask(context_, client_->FinishBody(Headers())); }
  // A request without body.
  void Ask(std::string_view method = "GET") {
    ASSERT_TRUE(WriteHead(method).ok());
    ASSERT_TRUE(Finish().ok());
  }
  void AskForWebSocket() {
    RequestHead head;
    head.method = "GET";
    head.target = "/w";
    head.websocket = true;
    ASSERT_TRUE(RunTask(context_, client_->WriteHead(head, "good.test")).ok());
    ASSERT_TRUE(Finish().ok());
  }
  // The status, or the name of the error.
  std::string ReadHead(milliseconds timeout = milliseconds(1000)) {
    const absl::StatusOr<ResponseHead> head = RunTask(context_, client_->ReadHead(timeout));
    return head.ok() ? std::to_string(head->status)
                     : absl::StatusCodeToString(head.status().code());
  }
  std::string ReadBody() {
    std::string body;
    while (true) {
      const absl::StatusOr<std::string_view> piece = RunTask(context_, client_->body().Read());
      if (!piece.ok()) return body + "!" + absl::StatusCodeToString(piece.status().code());
      if (piece->empty()) return body;
      body += *piece;
    }
  }

  boost::asio::io_context context_{1};
  MemoryStream* stream_;
  std::unique_ptr<MemoryStream> origin_;
  std::unique_ptr<H1ClientConnection> client_;
};

TEST_F(H1ClientTest, TheBodyWaitsUntilItIsAskedFor) {
  using Continue = H1ClientConnection::Continue;
  struct {
    std::string_view answer;
    Continue expected;
    const char* status;
  } cases[] = {
      {"HTTP/1.1 100 Continue\r\n\r\n", Continue::kWanted, nullptr},
      {"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n", Continue::kWanted, nullptr},
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n", Continue::kAnswer,
       "299"},
      {"", Continue::kSilence, nullptr},
      {"HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n", Continue::kAnswer, "299"},
      {"HTTP/1.1 bad", Continue::kSilence, nullptr},
      {"HTTP/1.1 bad\r\n\r\n", Continue::kAnswer, "INVALID_ARGUMENT"},
  };
  for (const auto& c : cases) {
    SetUp();
    ASSERT_TRUE(WriteAskingHead(BodyFraming::kLength, 2).ok());
    if (!c.answer.empty()) stream_->Receive(c.answer);
    EXPECT_EQ(RunTask(context_, client_->AwaitContinue(milliseconds(20))), c.expected) << c.answer;
    EXPECT_EQ(stream_->written(),
              "POST /t HTTP/1.1\r\nHost: good.test\r\nContent-Length: 2\r\n"
              "Expect: 100-continue\r\n\r\n");
    if (c.status != nullptr) {
      EXPECT_EQ(ReadHead(), c.status);
      EXPECT_FALSE(client_->reusable());
      continue;
    }
    if (c.expected == Continue::kSilence && !c.answer.empty()) continue;
    ASSERT_TRUE(WriteBody("ok").ok());
    ASSERT_TRUE(Finish().ok());
    // One that comes late is one more interim answer.
    stream_->Receive("HTTP/1.1 100 Continue\r\n\r\n");
    EXPECT_EQ(ReadHead(), "100");
    stream_->Receive(kOk);
    EXPECT_EQ(ReadHead(), "200");
    EXPECT_EQ(ReadBody(), "ok");
    EXPECT_TRUE(client_->reusable());
  }
}

TEST_F(H1ClientTest, AnAnswerWithoutTheBodyMayHaveABodyOfItsOwn) {
  ASSERT_TRUE(WriteAskingHead(BodyFraming::kChunked).ok());
  stream_->Receive(kOk);
  EXPECT_EQ(RunTask(context_, client_->AwaitContinue(milliseconds(20))),
            H1ClientConnection::Continue::kAnswer);
  EXPECT_EQ(ReadHead(), "200");
  EXPECT_EQ(ReadBody(), "ok");
}

TEST_F(H1ClientTest, APeerThatIsGoneWhileItIsAwaited) {
  ASSERT_TRUE(WriteAskingHead(BodyFraming::kChunked).ok());
  origin_->Close(Stream::How::kGraceful);
  EXPECT_EQ(RunTask(context_, client_->AwaitContinue(milliseconds(20))),
            H1ClientConnection::Continue::kAnswer);
  EXPECT_EQ(ReadHead(), "UNAVAILABLE");
}

TEST_F(H1ClientTest, AsksOneAfterTheOther) {
  EXPECT_TRUE(client_->reusable());
  for (int i = 0; i < 2; ++i) {
    Ask();
    EXPECT_FALSE(client_->reusable());
    stream_->Receive(kOk);
    EXPECT_EQ(ReadHead(), "200");
    EXPECT_FALSE(client_->reusable());
    EXPECT_EQ(ReadBody(), "ok");
    EXPECT_TRUE(client_->reusable());
    EXPECT_TRUE(client_->StillIdle());
  }
  EXPECT_EQ(stream_->written(),
            "GET /t HTTP/1.1\r\nHost: good.test\r\n\r\nGET /t HTTP/1.1\r\nHost: good.test\r\n\r\n");
  EXPECT_EQ(stream_->write_calls(), 2);
}

TEST_F(H1ClientTest, HeadAndFirstPieceShareAWrite) {
  EXPECT_TRUE(WriteHead("PUT", BodyFraming::kLength, 4).ok());
  EXPECT_EQ(stream_->written(), "");
  EXPECT_TRUE(WriteBody("ab").ok());
  EXPECT_TRUE(WriteBody("cd").ok());
  EXPECT_TRUE(Finish().ok());
  EXPECT_EQ(stream_->written(),
            "PUT /t HTTP/1.1\r\nHost: good.test\r\nContent-Length: 4\r\n\r\nabcd");
  EXPECT_EQ(stream_->write_calls(), 2);
}

TEST_F(H1ClientTest, ReadHeadSendsAHeldHead) {
  EXPECT_TRUE(WriteHead("PUT", BodyFraming::kChunked).ok());
  EXPECT_EQ(ReadHead(milliseconds(10)), "DEADLINE_EXCEEDED");
  EXPECT_EQ(stream_->written(),
            "PUT /t HTTP/1.1\r\nHost: good.test\r\nTransfer-Encoding: chunked\r\n\r\n");
}

TEST_F(H1ClientTest, WhatCannotBeSentIsRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(WriteHead("GE T")));
  EXPECT_TRUE(absl::IsInvalidArgument(WriteHead("")));
  EXPECT_TRUE(
      absl::IsInvalidArgument(WriteHead("GET", BodyFraming::kNone, 0, "/ HTTP/1.1\r\nx: y")));
  EXPECT_TRUE(absl::IsInvalidArgument(WriteHead("GET", BodyFraming::kNone, 0, "")));
  EXPECT_TRUE(
      absl::IsInvalidArgument(WriteHead("GET", BodyFraming::kNone, 0, "http://evil.test/")));
  EXPECT_TRUE(absl::IsInvalidArgument(WriteHead("GET", BodyFraming::kUntilClose)));
}

TEST_F(H1ClientTest, GivesInterimAnswersButContinue) {
  Ask();
  stream_->Receive("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
  stream_->Receive(kOk);
  EXPECT_EQ(ReadHead(), "103");
  EXPECT_EQ(ReadHead(), "200");
  EXPECT_EQ(ReadBody(), "ok");
}

TEST_F(H1ClientTest, AsksWhetherTheBodyIsWanted) {
  RequestHead head;
  head.method = "PUT";
  head.target = "/t";
  head.headers.Add("Expect", "something else");
  head.framing = BodyFraming::kLength;
  head.content_length = 2;
  head.expect_continue = true;
  ASSERT_TRUE(RunTask(context_, client_->WriteHead(head, "good.test")).ok());
  stream_->Receive("HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(ReadHead(), "100");
  EXPECT_EQ(stream_->written(),
            "PUT /t HTTP/1.1\r\nHost: good.test\r\nContent-Length: 2\r\n"
            "Expect: 100-continue\r\n\r\n");
  EXPECT_TRUE(WriteBody("ok").ok());
  EXPECT_TRUE(Finish().ok());
  stream_->Receive(kOk);
  EXPECT_EQ(ReadHead(), "200");
  EXPECT_EQ(ReadBody(), "ok");
  EXPECT_TRUE(client_->reusable());
}

TEST_F(H1ClientTest, H132TooManyInterimAnswers) {
  Ask();
  for (int i = 0; i < 17; ++i) stream_->Receive("HTTP/1.1 103 Early Hints\r\n\r\n");
  stream_->Receive(kOk);
  for (int i = 0; i < 16; ++i) EXPECT_EQ(ReadHead(), "103");
  EXPECT_EQ(ReadHead(), "INVALID_ARGUMENT");
  EXPECT_FALSE(client_->reusable());
}

TEST_F(H1ClientTest, H132SwitchingUnaskedIsAnError) {
  Ask();
  stream_->Receive(kSwitch);
  EXPECT_EQ(ReadHead(), "INVALID_ARGUMENT");
}

TEST_F(H1ClientTest, TU06SwitchingToSomethingElseIsAnError) {
  AskForWebSocket();
  stream_->Receive(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: Upgrade\r\n\r\n");
  EXPECT_EQ(ReadHead(), "INVALID_ARGUMENT");
  EXPECT_FALSE(client_->reusable());
}

TEST_F(H1ClientTest, SwitchesToAWebSocket) {
  for (const size_t max_read : {size_t{1}, size_t{1000}}) {
    SetUp();
    stream_->set_faults({.max_read = max_read});
    AskForWebSocket();
    EXPECT_EQ(stream_->written(),
              "GET /w HTTP/1.1\r\nHost: good.test\r\nConnection: Upgrade\r\n"
              "Upgrade: websocket\r\n\r\n");
    stream_->Receive("HTTP/1.1 103 Early Hints\r\n\r\n");
    stream_->Receive(kSwitch);
    stream_->Receive("first");
    EXPECT_EQ(ReadHead(), "103");
    EXPECT_EQ(ReadHead(), "101");
    EXPECT_EQ(client_->TakeBuffered(), max_read == 1 ? "" : "first");
    EXPECT_FALSE(client_->reusable());
    EXPECT_FALSE(client_->StillIdle());
  }
}

TEST_F(H1ClientTest, TU05AnswersThatMentionAnUpgradeAreAnswers) {
  AskForWebSocket();
  stream_->Receive(
      "HTTP/1.1 200 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Content-Length: 2\r\n\r\nok");
  EXPECT_EQ(ReadHead(), "200");
  EXPECT_EQ(ReadBody(), "ok");
}

TEST_F(H1ClientTest, BrokenFramingIsInvalid) {
  Ask();
  stream_->Receive("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n");
  EXPECT_EQ(ReadHead(), "INVALID_ARGUMENT");
  EXPECT_FALSE(client_->reusable());
}

TEST_F(H1ClientTest, CloseBeforeAnAnswerIsUnavailable) {
  Ask();
  origin_->Close(Stream::How::kGraceful);
  EXPECT_EQ(ReadHead(), "UNAVAILABLE");
}

TEST_F(H1ClientTest, ResetBeforeAnAnswerIsUnavailable) {
  Ask();
  origin_->Close(Stream::How::kReset);
  EXPECT_EQ(ReadHead(), "UNAVAILABLE");
}

TEST_F(H1ClientTest, ResetBeforeAHeadWasReadIsUnavailable) {
  Ask();
  stream_->Receive("HTTP/1.1 200");
  origin_->Close(Stream::How::kReset);
  EXPECT_EQ(ReadHead(), "UNAVAILABLE");  // The reset overtakes what was not read.
  EXPECT_FALSE(client_->reusable());
}

TEST_F(H1ClientTest, EndWithinAHeadIsDataLoss) {
  Ask();
  stream_->Receive("HTTP/1.1 200");
  stream_->ReceiveEnd();
  EXPECT_EQ(ReadHead(), "DATA_LOSS");
}

TEST_F(H1ClientTest, EndAfterAnInterimAnswerIsDataLoss) {
  Ask();
  stream_->Receive("HTTP/1.1 100 Continue\r\n\r\n");
  stream_->ReceiveEnd();
  EXPECT_EQ(ReadHead(), "DATA_LOSS");
}

TEST_F(H1ClientTest, BodyUntilCloseEndsWithTheStream) {
  Ask();
  stream_->Receive("HTTP/1.0 200 OK\r\n\r\nabc");
  stream_->ReceiveEnd();
  EXPECT_EQ(ReadHead(), "200");
  EXPECT_EQ(ReadBody(), "abc");
  EXPECT_FALSE(client_->reusable());
}

TEST_F(H1ClientTest, BodyUntilCloseThatIsResetIsAnError) {
  Ask();
  constexpr std::string_view kText = "HTTP/1.1 200 OK\r\n\r\nabc";
  stream_->set_faults({.reset_read_at = kText.size()});
  stream_->Receive(kText);
  EXPECT_EQ(ReadHead(), "200");
  EXPECT_EQ(ReadBody(), "abc!UNAVAILABLE");
}

TEST_F(H1ClientTest, H133AHeadAnswerHasNoBody) {
  Ask("HEAD");
  stream_->Receive("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(ReadHead(), "200");
  EXPECT_EQ(ReadBody(), "");
  EXPECT_TRUE(client_->reusable());
}

TEST_F(H1ClientTest, H133ABodyAfterAHeadAnswerPoisons) {
  Ask("HEAD");
  stream_->Receive(kOk);
  EXPECT_EQ(ReadHead(), "200");
  EXPECT_EQ(ReadBody(), "");
  EXPECT_FALSE(client_->reusable());
  EXPECT_TRUE(absl::IsUnavailable(WriteHead("GET")));
}

TEST_F(H1ClientTest, H133AnAnswerNobodyAskedForPoisons) {
  Ask();
  stream_->Receive(kOk);
  stream_->Receive(kOk);
  EXPECT_EQ(ReadHead(), "200");
  EXPECT_EQ(ReadBody(), "ok");
  EXPECT_FALSE(client_->reusable());
}

TEST_F(H1ClientTest, H133AnAnswerBeforeTheRequestsEndEndsTheConnection) {
  ASSERT_TRUE(WriteHead("PUT", BodyFraming::kChunked).ok());
  ASSERT_TRUE(WriteBody("abc").ok());
  stream_->Receive(kOk);
  EXPECT_EQ(ReadHead(), "200");
  EXPECT_EQ(ReadBody(), "ok");
  EXPECT_FALSE(client_->reusable());
  EXPECT_TRUE(Finish().ok());
  EXPECT_TRUE(client_->reusable());
}

TEST_F(H1ClientTest, IdleConnectionsThatHearSomethingAreNotIdle) {
  Ask();
  stream_->Receive(kOk);
  EXPECT_EQ(ReadHead(), "200");
  EXPECT_EQ(ReadBody(), "ok");
  EXPECT_TRUE(client_->StillIdle());
  stream_->Receive("HTTP/1.1 408 Request Timeout\r\n\r\n");
  EXPECT_FALSE(client_->StillIdle());
}

TEST_F(H1ClientTest, IdleConnectionsThatWereClosedAreNotIdle) {
  EXPECT_TRUE(client_->StillIdle());
  origin_->Close(Stream::How::kGraceful);
  EXPECT_FALSE(client_->StillIdle());
}

TEST_F(H1ClientTest, OneByteAtATime) {
  stream_->set_faults({.max_read = 1});
  Ask();
  stream_->Receive(
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  stream_->Receive("3\r\nabc\r\n2\r\nde\r\n0\r\nx: y\r\n\r\n");
  EXPECT_EQ(ReadHead(), "200");
  EXPECT_EQ(ReadBody(), "abcde");
  EXPECT_EQ(*client_->body().trailers().Find("x"), "y");
  EXPECT_TRUE(client_->reusable());
}

Task<void> ReadAnswer(H1ClientConnection* client) {
  const absl::StatusOr<ResponseHead> ignored = co_await client->ReadHead(std::chrono::hours(1));
  static_cast<void>(ignored);
}

TEST_F(H1ClientTest, AnAnswerIsNotLateWhileTheRequestGoesOut) {
  ASSERT_TRUE(WriteHead("PUT", BodyFraming::kChunked).ok());
  Spawn(context_, ReadAnswer(client_.get()));
  RunReady(context_);
  const SteadyTime at_first = stream_->deadline();
  EXPECT_GT(at_first, std::chrono::steady_clock::now() + std::chrono::minutes(50));
  EXPECT_TRUE(WriteBody("x").ok());
  EXPECT_GT(stream_->deadline(), at_first);
  stream_->ReceiveEnd();
  RunReady(context_);
}

Task<void> ReadPiece(H1ClientConnection* client) {
  const absl::StatusOr<std::string_view> ignored = co_await client->body().Read();
  static_cast<void>(ignored);
}

// An origin may announce its answer long before it has the whole request.
TEST_F(H1ClientTest, NorIsItsBody) {
  ASSERT_TRUE(WriteHead("PUT", BodyFraming::kChunked).ok());
  stream_->Receive("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(ReadHead(), "200");
  Spawn(context_, ReadPiece(client_.get()));
  RunReady(context_);
  const SteadyTime at_first = stream_->deadline();
  EXPECT_NE(at_first, SteadyTime::max());
  EXPECT_TRUE(WriteBody("x").ok());
  EXPECT_GT(stream_->deadline(), at_first);
  stream_->Receive("ok");
  RunReady(context_);
  EXPECT_EQ(stream_->deadline(), SteadyTime::max());
}

}  // namespace
}  // namespace sallyport::proxy
