#include "agent/proxy/http/h2_client.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "agent/proxy/testing/h2_frames.h"
#include "agent/proxy/testing/memory_stream.h"
#include "agent/proxy/testing/run.h"

namespace sallyport::proxy {
namespace {

using h2::ReceivedFrame;
using std::chrono::milliseconds;

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr uint16_t kMaxStreamsSetting = 3;
constexpr uint16_t kWindowSetting = 4;
constexpr uint16_t kConnectSetting = 8;
constexpr uint32_t kCancel = 8;

class H2ClientTest : public testing::Test {
 protected:
  void SetUp() override { Connect({}); }
  void Connect(H2ClientConnection::Options options) {
    auto [stream, origin] = MemoryStream::MakePair(context_);
    stream_ = stream.get();
    origin_ = std::move(origin);
    frames_ = std::make_unique<h2::FrameReader>();
    seen_ = 0;
    options.on_change = [this] { ++changes_; };
    client_ = std::make_unique<H2ClientConnection>(context_, std::move(stream), std::move(options));
    Sent();
  }
  // What was sent since the last call.
  std::vector<ReceivedFrame> Sent() {
    RunReady(context_);
    std::string_view bytes = std::string_view(origin_bytes()).substr(seen_);
    seen_ = origin_bytes().size();
    if (bytes.starts_with(kPreface)) bytes.remove_prefix(kPreface.size());
    return frames_->Read(bytes);
  }
  const std::string& origin_bytes() const { return stream_->written(); }
  // Of one type.
  std::vector<ReceivedFrame> Sent(uint8_t type) {
    std::vector<ReceivedFrame> frames = Sent();
    std::erase_if(frames, [type](const ReceivedFrame& frame) { return frame.type != type; });
    return frames;
  }
  void Receive(const std::string& bytes) {
    stream_->Receive(bytes);
    RunReady(context_);
  }

  std::unique_ptr<ClientExchange> Ask(BodyFraming framing = BodyFraming::kNone,
                                      std::string_view method = "GET", uint64_t length = 0) {
    std::unique_ptr<ClientExchange> exchange = client_->Open();
    RequestHead head;
    head.method = method;
    head.target = "/t";
    head.framing = framing;
    head.content_length = length;
    EXPECT_TRUE(RunTask(context_, exchange->WriteHead(head, "good.test")).ok());
    if (framing == BodyFraming::kNone)
      EXPECT_TRUE(RunTask(context_, exchange->FinishBody(Headers())).ok());
    return exchange;
  }
  // The status, or the name of the error.
  std::string ReadHead(ClientExchange& exchange, milliseconds timeout = milliseconds(1000)) {
    const absl::StatusOr<ResponseHead> head = RunTask(context_, exchange.ReadHead(timeout));
    return head.ok() ? std::to_string(head->status)
                     : absl::StatusCodeToString(head.status().code());
  }
  std::string ReadBody(ClientExchange& exchange) {
    std::string body;
    while (true) {
      const absl::StatusOr<std::string_view> piece = RunTask(context_, exchange.body().Read());
      if (!piece.ok()) return body + "!" + absl::StatusCodeToString(piece.status().code());
      if (piece->empty()) return body;
      body += *piece;
    }
  }

  boost::asio::io_context context_{1};
  MemoryStream* stream_ = nullptr;
  std::unique_ptr<MemoryStream> origin_;
  std::unique_ptr<h2::FrameReader> frames_;
  size_t seen_ = 0;
  int changes_ = 0;
  std::unique_ptr<H2ClientConnection> client_;
};

const h2::Fields kOk = {{":status", "200"}};

Task<void> WriteAndTell(ClientExchange* exchange, std::string bytes,
                        std::optional<absl::Status>* written) {
  *written = co_await exchange->WriteBody(bytes);
}

TEST_F(H2ClientTest, ARequestWithoutBodyIsOneFrame) {
  const auto exchange = Ask();
  const std::vector<ReceivedFrame> heads = Sent(h2::kHeaders);
  ASSERT_EQ(heads.size(), 1u);
  EXPECT_TRUE(heads[0].Has(h2::kEndStream));
  EXPECT_EQ(heads[0].Field(":method"), "GET");
  EXPECT_EQ(heads[0].Field(":scheme"), "https");
  EXPECT_EQ(heads[0].Field(":authority"), "good.test");
  EXPECT_EQ(heads[0].Field(":path"), "/t");
}

TEST_F(H2ClientTest, AnswersComeWithBodyAndTrailers) {
  const auto exchange = Ask();
  Receive(h2::Settings({}) + h2::Head(1, {{":status", "103"}, {"link", "x"}}, 0) +
          h2::Head(1, {{":status", "100"}}, 0) + h2::Head(1, kOk, 0) + h2::Data(1, "ab") +
          h2::Data(1, "cd") + h2::Head(1, {{"grpc-status", "0"}}, h2::kEndStream));
  EXPECT_EQ(ReadHead(*exchange), "103");
  EXPECT_EQ(ReadHead(*exchange), "200");
  EXPECT_TRUE(exchange->body().ReadyNow());
  EXPECT_EQ(ReadBody(*exchange), "abcd");
  const Headers& trailers = exchange->body().trailers();
  ASSERT_EQ(trailers.fields().size(), 1u);
  EXPECT_EQ(*trailers.Find("grpc-status"), "0");
  EXPECT_EQ(changes_, 1);
}

TEST_F(H2ClientTest, StreamsShareAConnection) {
  const auto first = Ask();
  const auto second = Ask();
  EXPECT_EQ(client_->streams(), 2u);
  Receive(h2::Settings({}) + h2::Head(3, kOk, 0) + h2::Data(3, "second", h2::kEndStream));
  EXPECT_EQ(ReadHead(*second), "200");
  EXPECT_EQ(ReadBody(*second), "second");
  Receive(h2::Head(1, kOk, 0) + h2::Data(1, "first", h2::kEndStream));
  EXPECT_EQ(ReadHead(*first), "200");
  EXPECT_EQ(ReadBody(*first), "first");
}

TEST_F(H2ClientTest, GivingUpResetsTheStreamAlone) {
  auto first = Ask();
  const auto second = Ask();
  Sent();
  first = nullptr;
  const std::vector<ReceivedFrame> resets = Sent(h2::kRstStream);
  ASSERT_EQ(resets.size(), 1u);
  EXPECT_EQ(resets[0].stream, 1u);
  EXPECT_EQ(resets[0].error(), kCancel);
  Receive(h2::Settings({}) + h2::Head(3, kOk, h2::kEndStream));
  EXPECT_EQ(ReadHead(*second), "200");
}

TEST_F(H2ClientTest, ACompleteExchangeIsNotReset) {
  auto exchange = Ask();
  Receive(h2::Settings({}) + h2::Head(1, kOk, h2::kEndStream));
  EXPECT_EQ(ReadHead(*exchange), "200");
  EXPECT_EQ(ReadBody(*exchange), "");
  exchange = nullptr;
  EXPECT_TRUE(Sent(h2::kRstStream).empty());
}

TEST_F(H2ClientTest, ABodyWaitsForTheOriginsWindow) {
  Receive(h2::Settings({{kWindowSetting, 10}}));
  const auto exchange = Ask(BodyFraming::kLength, "PUT", 16);
  std::optional<absl::Status> written;
  Spawn(context_, WriteAndTell(exchange.get(), "0123456789abcdef", &written));
  std::vector<ReceivedFrame> data = Sent(h2::kData);
  ASSERT_EQ(data.size(), 1u);
  EXPECT_EQ(data[0].payload, "0123456789");
  EXPECT_FALSE(written.has_value());
  Receive(h2::WindowUpdate(1, 100));
  data = Sent(h2::kData);
  ASSERT_EQ(data.size(), 1u);
  EXPECT_EQ(data[0].payload, "abcdef");
  ASSERT_TRUE(written.has_value());
  EXPECT_TRUE(written->ok());
  EXPECT_TRUE(absl::IsInvalidArgument(RunTask(context_, exchange->WriteBody("x"))));
  EXPECT_TRUE(RunTask(context_, exchange->FinishBody(Headers())).ok());
  data = Sent(h2::kData);
  ASSERT_EQ(data.size(), 1u);
  EXPECT_TRUE(data[0].Has(h2::kEndStream));
}

TEST_F(H2ClientTest, ABodyEndsWithItsTrailers) {
  const auto exchange = Ask(BodyFraming::kChunked, "POST");
  EXPECT_TRUE(RunTask(context_, exchange->WriteBody("abc", More::kAtOnce)).ok());
  Headers trailers;
  trailers.Add("checksum", "1");
  trailers.Add("transfer-encoding", "chunked");
  EXPECT_TRUE(RunTask(context_, exchange->FinishBody(trailers)).ok());
  const std::vector<ReceivedFrame> frames = Sent();
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(frames[1].payload, "abc");
  EXPECT_TRUE(frames[2].Has(h2::kEndStream));
  EXPECT_EQ(frames[2].fields, (h2::Fields{{"checksum", "1"}}));
}

TEST_F(H2ClientTest, ABodyThatIsTooShortIsNotEnded) {
  const auto exchange = Ask(BodyFraming::kLength, "PUT", 5);
  EXPECT_TRUE(RunTask(context_, exchange->WriteBody("abc")).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(RunTask(context_, exchange->FinishBody(Headers()))));
  for (const ReceivedFrame& frame : Sent()) EXPECT_FALSE(frame.Has(h2::kEndStream));
}

TEST_F(H2ClientTest, TheStreamsWindowIsGivenBackAsTheBodyIsRead) {
  H2ClientConnection::Options options;
  options.limits.stream_window = 100;
  Connect(std::move(options));
  const auto exchange = Ask();
  Receive(h2::Settings({}) + h2::SettingsAck() + h2::Head(1, kOk, 0) +
          h2::Data(1, std::string(80, 'x')));
  EXPECT_EQ(ReadHead(*exchange), "200");
  EXPECT_TRUE(Sent(h2::kWindowUpdate).empty());
  EXPECT_EQ(RunTask(context_, exchange->body().Read())->size(), 80u);
  EXPECT_TRUE(Sent(h2::kWindowUpdate).empty());
  Receive(h2::Data(1, "y"));
  EXPECT_EQ(*RunTask(context_, exchange->body().Read()), "y");
  const std::vector<ReceivedFrame> updates = Sent(h2::kWindowUpdate);
  ASSERT_EQ(updates.size(), 1u);
  EXPECT_EQ(updates[0].stream, 1u);
}

std::string GoAway(uint32_t last_stream, uint32_t error = 0) {
  return h2::Frame(h2::kGoAway, 0, 0, h2::Number(last_stream, 4) + h2::Number(error, 4));
}

struct Fate {
  std::string name;
  std::string bytes;
  std::string head;
  std::string body = "";
  bool closes = false;  // The connection, behind the bytes.
};

TEST_F(H2ClientTest, SaysWhatBecameOfARequest) {
  const std::string settings = h2::Settings({});
  std::string interim;
  for (int i = 0; i < 17; ++i) interim += h2::Head(1, {{":status", "103"}}, 0);
  const std::string large =
      h2::Head(1, {{":status", "103"}, {"link", std::string(15 * 1024, 'x')}}, 0);
  std::string seven_large;
  for (int i = 0; i < 7; ++i) seven_large += large;
  const h2::Fields of_five = {{":status", "200"}, {"content-length", "5"}};
  const Fate cases[] = {
      {"refused", h2::Reset(1, 7), "ABORTED"},
      {"wanted over HTTP/1.1", h2::Reset(1, 13), "FAILED_PRECONDITION"},
      {"reset", h2::Reset(1, 2), "DATA_LOSS"},
      {"GOAWAY before it", GoAway(0), "ABORTED"},
      {"GOAWAY before it, for HTTP/1.1", GoAway(0, 13), "FAILED_PRECONDITION"},
      {"GOAWAY behind it", GoAway(1) + h2::Head(1, kOk, h2::kEndStream), "200"},
      {"GOAWAY behind it, and closed", GoAway(1), "DATA_LOSS", "", true},
      {"closed", "", "DATA_LOSS", "", true},
      {"101", h2::Head(1, {{":status", "101"}}, 0), "INVALID_ARGUMENT"},
      {"no end of interim answers", interim, "INVALID_ARGUMENT"},
      {"large interim answers", seven_large + h2::Head(1, kOk, h2::kEndStream), "200"},
      {"larger ones", seven_large + large + large, "INVALID_ARGUMENT"},
      {"no answer", h2::Data(1, "", h2::kEndStream), "INVALID_ARGUMENT"},
      {"trailers first", h2::Head(1, {{"x", "y"}}), "INVALID_ARGUMENT"},
      {"upper case", h2::Head(1, {{":status", "200"}, {"X", "y"}}), "INVALID_ARGUMENT"},
      {"connection", h2::Head(1, {{":status", "200"}, {"connection", "close"}}),
       "INVALID_ARGUMENT"},
      {"too long", h2::Head(1, of_five, 0) + h2::Data(1, "123456", h2::kEndStream), "200",
       "!INVALID_ARGUMENT"},
      {"too short", h2::Head(1, of_five, 0) + h2::Data(1, "1234", h2::kEndStream), "200",
       "!INVALID_ARGUMENT"},
      {"cut off", h2::Head(1, kOk, 0) + h2::Data(1, "12") + h2::Reset(1, 8), "200", "12!DATA_LOSS"},
      {"closed within", h2::Head(1, kOk, 0) + h2::Data(1, "12"), "200", "12!DATA_LOSS", true},
      {"whole, and its request not wanted",
       h2::Head(1, kOk, 0) + h2::Data(1, "12", h2::kEndStream) + h2::Reset(1, 0), "200", "12"},
      {"body of a 204", h2::Head(1, {{":status", "204"}}, 0) + h2::Data(1, "x"), "204",
       "!INVALID_ARGUMENT"},
      {"push",
       h2::SettingsAck() + h2::Frame(h2::kPushPromise, h2::kEndHeaders, 1, h2::Number(2, 4)),
       "INVALID_ARGUMENT"},
      {"not HTTP/2", "HTTP/1.1 400 Bad Request\r\n\r\n", "INVALID_ARGUMENT"},
  };
  for (const Fate& c : cases) {
    Connect({});
    // Its request goes on, so that a reset behind the answer is one.
    const auto exchange = Ask(BodyFraming::kChunked, "POST");
    Receive(c.name == "not HTTP/2" ? c.bytes : settings + c.bytes);
    if (c.closes) stream_->ReceiveEnd();
    RunReady(context_);
    std::string head = ReadHead(*exchange);
    while (head == "103") head = ReadHead(*exchange);
    EXPECT_EQ(head, c.head) << c.name;
    if (c.head[0] == '2') EXPECT_EQ(ReadBody(*exchange), c.body) << c.name;
  }
}

TEST_F(H2ClientTest, ARequestOnAnIdleConnectionThatIsClosedMayBeSentAgain) {
  Receive(h2::Settings({}));
  const auto exchange = Ask();
  stream_->ReceiveEnd();
  EXPECT_EQ(ReadHead(*exchange), "UNAVAILABLE");
  EXPECT_FALSE(client_->alive());
  EXPECT_FALSE(client_->takes_requests());
}

TEST_F(H2ClientTest, ARequestThatNeverLeftWasNotProcessed) {
  Receive(h2::Settings({}));
  Sent();
  stream_->set_faults({.stall_write_at = stream_->written().size()});
  const auto on_its_way = Ask(BodyFraming::kNone, "POST");
  RunReady(context_);
  const auto behind_it = Ask(BodyFraming::kNone, "POST");
  stream_->ReceiveEnd();
  EXPECT_EQ(ReadHead(*on_its_way), "UNAVAILABLE");
  EXPECT_EQ(ReadHead(*behind_it), "ABORTED");
}

TEST_F(H2ClientTest, AsksWhetherTheBodyIsWanted) {
  const auto exchange = client_->Open();
  RequestHead head;
  head.method = "PUT";
  head.target = "/t";
  head.framing = BodyFraming::kLength;
  head.content_length = 2;
  head.expect_continue = true;
  EXPECT_TRUE(RunTask(context_, exchange->WriteHead(head, "good.test")).ok());
  const std::vector<ReceivedFrame> heads = Sent(h2::kHeaders);
  ASSERT_EQ(heads.size(), 1u);
  EXPECT_EQ(heads[0].Field("expect"), "100-continue");
  Receive(h2::Settings({}) + h2::Head(1, {{":status", "100"}}, 0));
  EXPECT_EQ(ReadHead(*exchange), "100");
  EXPECT_TRUE(RunTask(context_, exchange->WriteBody("ok")).ok());
  EXPECT_TRUE(RunTask(context_, exchange->FinishBody(Headers())).ok());
  Receive(h2::Head(1, kOk, h2::kEndStream));
  EXPECT_EQ(ReadHead(*exchange), "200");
}

Task<void> ReadAndTell(ClientExchange* exchange, std::optional<std::string>* read) {
  const absl::StatusOr<std::string_view> piece = co_await exchange->body().Read();
  *read = piece.ok() ? std::string(*piece) : absl::StatusCodeToString(piece.status().code());
}

TEST_F(H2ClientTest, ABodyIsNotLateWhileTheOtherMoves) {
  H2ClientConnection::Options options;
  options.timeouts.body = milliseconds(40);
  Connect(std::move(options));
  const auto exchange = Ask(BodyFraming::kChunked, "POST");
  Receive(h2::Settings({}) + h2::Head(1, kOk, 0));
  EXPECT_EQ(ReadHead(*exchange), "200");
  std::optional<std::string> read;
  Spawn(context_, ReadAndTell(exchange.get(), &read));
  // Longer than the answer may pause, a piece of the request each quarter of that.
  for (int i = 0; i < 8; ++i) {
    EXPECT_TRUE(RunTask(context_, exchange->WriteBody("x")).ok());
    context_.restart();
    context_.run_for(milliseconds(10));
  }
  EXPECT_EQ(read, std::nullopt);
  context_.restart();
  context_.run_for(milliseconds(200));
  EXPECT_EQ(read, "DEADLINE_EXCEEDED");
}

TEST_F(H2ClientTest, AnAnswerMayBeLate) {
  const auto exchange = Ask();
  Receive(h2::Settings({}));
  EXPECT_EQ(ReadHead(*exchange, milliseconds(5)), "DEADLINE_EXCEEDED");
  EXPECT_TRUE(client_->takes_requests());
}

TEST_F(H2ClientTest, WhereNothingComesNoFurtherRequestIsSent) {
  Receive(h2::Settings({}));
  const auto exchange = Ask();
  EXPECT_EQ(ReadHead(*exchange, milliseconds(5)), "DEADLINE_EXCEEDED");
  EXPECT_FALSE(client_->takes_requests());
}

TEST_F(H2ClientTest, TakesAsManyRequestsAsTheOriginDoes) {
  Receive(h2::Settings({{kMaxStreamsSetting, 1}}));
  EXPECT_TRUE(client_->takes_requests());
  auto exchange = Ask();
  EXPECT_FALSE(client_->takes_requests());
  EXPECT_TRUE(client_->alive());
  const auto late = client_->Open();
  RequestHead head;
  head.method = "GET";
  head.target = "/";
  EXPECT_TRUE(absl::IsUnavailable(RunTask(context_, late->WriteHead(head, "a"))));
  Sent();
  exchange = nullptr;
  RunReady(context_);
  EXPECT_EQ(changes_, 1);
  EXPECT_TRUE(client_->takes_requests());
}

TEST_F(H2ClientTest, AfterGoAwayOnlyWhatIsOpenGoesOn) {
  auto exchange = Ask();
  Receive(h2::Settings({}) + GoAway(1));
  EXPECT_FALSE(client_->alive());
  EXPECT_FALSE(client_->ended());
  Receive(h2::Head(1, kOk, h2::kEndStream));
  EXPECT_EQ(ReadHead(*exchange), "200");
  exchange = nullptr;
  RunReady(context_);
  EXPECT_TRUE(client_->ended());
}

TEST_F(H2ClientTest, WhoLetsGoOfItLetsItsExchangesEnd) {
  const auto exchange = Ask();
  client_ = nullptr;
  Receive(h2::Settings({}) + h2::Head(1, kOk, 0) + h2::Data(1, "ab", h2::kEndStream));
  EXPECT_EQ(ReadHead(*exchange), "200");
  EXPECT_EQ(ReadBody(*exchange), "ab");
}

TEST_F(H2ClientTest, CloseEndsEverything) {
  const auto exchange = Ask();
  client_->Close();
  EXPECT_EQ(ReadHead(*exchange), "CANCELLED");
  EXPECT_TRUE(origin_->was_reset());
  EXPECT_TRUE(client_->ended());
}

TEST_F(H2ClientTest, AnIdleConnectionIsEnded) {
  H2ClientConnection::Options options;
  options.timeouts.idle = milliseconds(10);
  options.timeouts.farewell = milliseconds(10);
  Connect(std::move(options));
  Receive(h2::Settings({}));
  auto exchange = Ask();
  context_.restart();
  context_.run_for(milliseconds(30));
  EXPECT_TRUE(client_->alive());
  Receive(h2::Head(1, kOk, h2::kEndStream));
  EXPECT_EQ(ReadHead(*exchange), "200");
  exchange = nullptr;
  context_.restart();
  while (!client_->ended() && context_.run_one_for(std::chrono::seconds(20)) > 0) {
  }
  EXPECT_TRUE(client_->ended());
  EXPECT_EQ(Sent(h2::kGoAway).size(), 1u);
}

TEST_F(H2ClientTest, AFloodEndsTheConnection) {
  const std::pair<std::string, std::string> cases[] = {
      {"PING", h2::Ping()},
      {"SETTINGS", h2::Settings({})},
      {"WINDOW_UPDATE", h2::WindowUpdate(0, 1)},
      {"empty DATA", h2::Data(1, "")},
  };
  for (const auto& [name, frame] : cases) {
    Connect({});
    const auto exchange = Ask();
    Receive(h2::Settings({}) + h2::Head(1, kOk, 0));
    std::string flood;
    for (int i = 0; i < 2000; ++i) flood += frame;
    Receive(flood);
    EXPECT_EQ(ReadHead(*exchange), "200") << name;
    EXPECT_EQ(ReadBody(*exchange)[0], '!') << name;
    EXPECT_FALSE(client_->alive()) << name;
  }
}

TEST_F(H2ClientTest, AStreamBecomesAWebSocket) {
  EXPECT_FALSE(client_->takes_websockets());
  Receive(h2::Settings({{kConnectSetting, 1}}));
  EXPECT_TRUE(client_->takes_websockets());
  const auto exchange = client_->Open();
  RequestHead head;
  head.method = "GET";
  head.target = "/w";
  head.websocket = true;
  head.headers.Add("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
  EXPECT_TRUE(RunTask(context_, exchange->WriteHead(head, "good.test")).ok());
  EXPECT_TRUE(RunTask(context_, exchange->FinishBody(Headers())).ok());
  const std::vector<ReceivedFrame> heads = Sent(h2::kHeaders);
  ASSERT_EQ(heads.size(), 1u);
  EXPECT_FALSE(heads[0].Has(h2::kEndStream));
  EXPECT_EQ(heads[0].Field(":protocol"), "websocket");
  Receive(h2::Head(1, kOk, 0) + h2::Data(1, "hello"));
  const auto answer = RunTask(context_, exchange->ReadHead(milliseconds(1000)));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->status, 101);
  EXPECT_EQ(*answer->headers.Find("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  Stream& tunnel = exchange->tunnel();
  std::array<char, 3> buffer;
  EXPECT_TRUE(tunnel.ReadableNow());
  EXPECT_EQ(RunTask(context_, tunnel.Read(buffer)).value(), 3u);
  EXPECT_EQ(RunTask(context_, tunnel.Read(buffer)).value(), 2u);
  const std::string_view words = "words";
  EXPECT_TRUE(RunTask(context_, tunnel.Write(std::span(&words, 1))).ok());
  EXPECT_EQ(Sent(h2::kData).at(0).payload, "words");
  tunnel.SetDeadline(std::chrono::steady_clock::now() + milliseconds(5));
  EXPECT_TRUE(absl::IsDeadlineExceeded(RunTask(context_, tunnel.Read(buffer)).status()));
  tunnel.SetDeadline(SteadyTime::max());
  Receive(h2::Data(1, "", h2::kEndStream));
  EXPECT_EQ(RunTask(context_, tunnel.Read(buffer)).value(), 0u);
  EXPECT_TRUE(RunTask(context_, tunnel.ShutdownWrite()).ok());
  EXPECT_TRUE(Sent(h2::kData).at(0).Has(h2::kEndStream));
}

}  // namespace
}  // namespace sallyport::proxy
