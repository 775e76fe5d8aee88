#include "agent/proxy/http/h2_server.h"

#include <algorithm>

#include "agent/proxy/http/h2_fixture.h"

namespace sallyport::proxy {
namespace {

using std::chrono::milliseconds;

class H2ServerTest : public H2Fixture {};

TEST_F(H2ServerTest, AnswersARequest) {
  Begin();
  const auto frames = Give(h2::Head(1, kGet));
  EXPECT_EQ(StatusOf(frames), "200");
  EXPECT_EQ(BodyOf(frames), "ok");
  EXPECT_EQ(frames.back().Has(h2::kEndStream), true);
  EXPECT_EQ(log_, std::vector<std::string>{"GET /"});
}

TEST_F(H2ServerTest, AnnouncesItsLimits) {
  Begin({}, {}, "");
  RunReady(context_);
  const auto frames = Output();
  ASSERT_FALSE(frames.empty());
  ASSERT_EQ(frames[0].type, h2::kSettings);
  const std::string& payload = frames[0].payload;
  EXPECT_NE(payload.find(h2::Number(3, 2) + h2::Number(100, 4)), payload.npos);
  EXPECT_NE(payload.find(h2::Number(8, 2) + h2::Number(1, 4)), payload.npos);
}

TEST_F(H2ServerTest, ABodyIsReadAsItComes) {
  Begin();
  Give(h2::Head(1, kPost, 0));
  EXPECT_EQ(BodyOf(Give(h2::Data(1, "one"))), "one");
  EXPECT_EQ(BodyOf(Give(h2::Data(1, "two", h2::kEndStream))), "two");
}

TEST_F(H2ServerTest, WritesOncePerTurn) {
  Begin();
  const int before = end_->write_calls();
  std::string requests;
  for (uint32_t id = 1; id < 100; id += 2) requests += h2::Head(id, kGet);
  const auto frames = Give(requests);
  EXPECT_EQ(StatusOf(frames, 99), "200");
  EXPECT_LE(end_->write_calls() - before, 2);
}

TEST_F(H2ServerTest, HeadHasALengthAndNoBody) {
  Begin();
  const auto frames = Give(h2::Head(1, With(":method", "HEAD")));
  ASSERT_EQ(Summary(frames), "HEADERS 1 200 END");
  EXPECT_EQ(frames.back().Field("content-length"), "2");
}

TEST_F(H2ServerTest, AsksAClientThatWaitsToContinue) {
  Begin();
  const h2::Fields fields = With("expect", "100-continue", With(":path", "/upload", kPost));
  EXPECT_EQ(Summary(Give(h2::Head(1, fields, 0))), "HEADERS 1 100");
  EXPECT_EQ(BodyOf(Give(h2::Data(1, "body", h2::kEndStream))), "4");
}

TEST_F(H2ServerTest, DoesNotAskForABodyThatIsThereOrOnceItHasAnswered) {
  Begin();
  const h2::Fields fields = With("expect", "100-continue", With(":path", "/upload", kPost));
  const std::string body = h2::Data(1, "body", h2::kEndStream);
  EXPECT_EQ(Summary(Give(h2::Head(1, fields, 0) + body)), "HEADERS 1 200, DATA 1 END");
  EXPECT_EQ(Summary(Give(h2::Head(3, With(":path", "/echo", fields), 0))),
            "HEADERS 3 200, DATA 3 END");
}

TEST_F(H2ServerTest, ABodyThatBreaksOffIsNotComplete) {
  Begin();
  Give(h2::Head(1, With(":path", "/upload", kPost), 0) + h2::Data(1, "body"));
  Give(h2::Reset(1, 8));
  EXPECT_EQ(log_.back(), "the peer reset the stream: CANCEL");
}

TEST_F(H2ServerTest, AResetRequestIsGivenUp) {
  Begin();
  Give(h2::Head(1, With(":path", "/hang")));
  Give(h2::Reset(1, 8));
  EXPECT_EQ(log_.back(), "abandoned");
}

TEST_F(H2ServerTest, ABodyThatIsNotWantedIsDroppedAndThenCutWithoutAnError) {
  Begin();
  const h2::Fields fields = With(":path", "/", kPost);
  EXPECT_EQ(Summary(Give(h2::Head(1, fields, 0))), "HEADERS 1 200, DATA 1 END");
  EXPECT_EQ(Summary(Give(h2::Data(1, "dropped", h2::kEndStream))), "");
  Give(h2::Head(3, fields, 0));
  std::string summary;
  for (int i = 0; i < 100 && summary.empty(); ++i)
    summary = Summary(Give(h2::Data(3, std::string(16 * 1024, 'x'))));
  EXPECT_EQ(summary, "RST_STREAM 3 0");
}

TEST_F(H2ServerTest, ARefusalsHeadComesWithItsBodyWhileTheRequestIsStillSent) {
  Begin();
  const h2::Fields fields = With(":path", "/refuse", kPost);
  EXPECT_EQ(Summary(Give(h2::Head(1, fields, 0))), "");
  EXPECT_EQ(Summary(Give(h2::Data(1, "body"))), "");
  more_.Notify();
  RunReady(context_);
  EXPECT_EQ(Summary(Output()), "HEADERS 1 403, DATA 1, DATA 1 END");
}

TEST_F(H2ServerTest, ARefusalsHeadDoesNotWaitForever) {
  Begin();
  EXPECT_EQ(Summary(Give(h2::Head(1, With(":path", "/refuse", kPost), 0))), "");
  context_.restart();
  std::string summary;
  for (int i = 0; i < 100 && summary.empty(); ++i) {
    context_.run_one_for(std::chrono::seconds(20));
    summary = Summary(Output());
  }
  EXPECT_EQ(summary, "HEADERS 1 403");
  more_.Notify();
  RunReady(context_);
  EXPECT_EQ(Summary(Output()), "DATA 1, DATA 1 END");
}

TEST_F(H2ServerTest, ARefusalOfAWholeRequestDoesNotWait) {
  Begin();
  EXPECT_EQ(Summary(Give(h2::Head(1, With(":path", "/refuse", kPost)))), "HEADERS 1 403");
  more_.Notify();
  RunReady(context_);
}

TEST_F(H2ServerTest, InterimAnswersAreNotKeptForAClientThatDoesNotRead) {
  Begin();
  EXPECT_EQ(StatusOf(Give(h2::Head(1, With(":path", "/hints")))), "200");
  EXPECT_EQ(std::count(log_.begin(), log_.end(), "hints"), 16);
  end_->set_faults({.stall_write_at = end_->written().size()});
  Give(h2::Head(3, With(":path", "/hints")));
  EXPECT_EQ(std::count(log_.begin(), log_.end(), "hints"), 17) << "one is on its way";
  Give(h2::Reset(3, 8));
  EXPECT_EQ(log_.back(), "DATA_LOSS");
}

TEST_F(H2ServerTest, AnInterimAnswerThatIsNotReadEndsTheRequest) {
  Begin({}, {.body = milliseconds(5), .write = milliseconds(20'000)});
  end_->set_faults({.stall_write_at = end_->written().size()});
  Give(h2::Head(1, With(":path", "/hints")));
  context_.restart();
  while (log_.back() == "hints" && context_.run_one_for(std::chrono::seconds(20)) > 0) {
  }
  EXPECT_EQ(log_.back(), "DEADLINE_EXCEEDED");
  end_->Close(Stream::How::kReset);
}

TEST_F(H2ServerTest, ARequestThatIsGivenUpTakesItsHeldHeadAlong) {
  Begin();
  Give(h2::Head(1, With(":path", "/refuse", kPost), 0));
  Give(h2::Reset(1, 8));
  more_.Notify();
  RunReady(context_);
  EXPECT_EQ(Summary(Output()), "");
}

TEST_F(H2ServerTest, TheHeadIsNotTooLarge) {
  Begin();
  h2::Fields fields = kGet;
  for (int i = 0; i < 100; ++i) fields.emplace_back("x", "y");
  EXPECT_EQ(StatusOf(Give(h2::Head(1, fields))), "431");
}

TEST_F(H2ServerTest, AStalledReaderStopsTheWriter) {
  Begin();
  Give(h2::Settings({{4, 1000}}));
  const auto frames = Give(h2::Head(1, With(":path", "/100000")));
  EXPECT_EQ(BodyOf(frames).size(), 1000u);
  EXPECT_EQ(BodyOf(Give(h2::WindowUpdate(1, 500))).size(), 500u);
}

// H210, H213.
TEST_F(H2ServerTest, AStreamThatTakesNothingIsReset) {
  H2Timeouts timeouts;
  timeouts.body = milliseconds(20);
  Begin({}, timeouts);
  Give(h2::Settings({{4, 0}}));
  Give(h2::Head(1, With(":path", "/100000")));
  std::string summary;
  for (int i = 0; i < 1000 && summary.find("RST") == summary.npos; ++i) {
    context_.restart();
    context_.run_one_for(milliseconds(20));
    summary += Summary(Output());
  }
  EXPECT_NE(summary.find("RST_STREAM 1 8"), summary.npos) << summary;
}

// H213.
TEST_F(H2ServerTest, AConnectionThatTakesNothingEnds) {
  H2Timeouts timeouts;
  timeouts.write = milliseconds(20);
  Begin({}, timeouts);
  end_->set_faults({.stall_write_at = end_->written().size(), .capacity = 1 << 20});
  end_->Receive(h2::Head(1, kGet));
  AwaitEnd();
}

TEST_F(H2ServerTest, AnIdleConnectionIsToldToGo) {
  H2Timeouts timeouts;
  timeouts.idle = milliseconds(20);
  Begin({}, timeouts);
  Give(h2::Head(1, kGet));
  AwaitEnd();
  EXPECT_EQ(Summary(Output()), "GOAWAY 0");
}

// H224.
TEST_F(H2ServerTest, AHeaderBlockHasToEnd) {
  H2Timeouts timeouts;
  timeouts.head = milliseconds(20);
  Begin({}, timeouts);
  Give(h2::Frame(h2::kHeaders, 0, 1, "\x82"));
  AwaitEnd();
  EXPECT_EQ(Summary(Output()), "GOAWAY 11");
}

TEST_F(H2ServerTest, APrefaceHasToCome) {
  H2Timeouts timeouts;
  timeouts.head = milliseconds(20);
  Begin({}, timeouts, "PRI * HT");
  AwaitEnd();
}

TEST_F(H2ServerTest, BytesThatAreNoPrefaceEndTheConnection) {
  Begin({}, {}, "");
  Give("GET / HTTP/1.1\r\nHost: good.test\r\n\r\n");
  EXPECT_TRUE(over());
  EXPECT_TRUE(log_.empty());
}

TEST_F(H2ServerTest, ClosingSaysGoAway) {
  Begin();
  Give(h2::Head(1, With(":path", "/hang")));
  server_->CloseNow();
  RunReady(context_);
  EXPECT_EQ(Summary(Output()), "GOAWAY 0");
  EXPECT_EQ(log_.back(), "abandoned");
}

// CVE-2023-44487, CVE-2025-8671, GHSA-jhv4.
TEST_F(H2ServerTest, H201ToH203ResetsAreCounted) {
  const std::string hang = "/hang";
  const struct {
    const char* name;
    std::function<std::string(uint32_t)> abuse;
  } kCases[] = {
      {"H201 rapid reset",
       [&](uint32_t id) { return h2::Head(id, With(":path", hang)) + h2::Reset(id, 8); }},
      {"H202 window overflow",
       [&](uint32_t id) {
         return h2::Head(id, With(":path", hang)) + h2::WindowUpdate(id, 0x7fffffff);
       }},
      {"H203 malformed", [](uint32_t id) { return h2::Head(id, With("connection", "close")); }},
      {"H203 400", [](uint32_t id) { return h2::Head(id, With(":authority", "[x]")); }},
  };
  for (const auto& test : kCases) {
    Begin();
    std::string summary;
    uint32_t id = 1;
    for (; id < 2000 && !over(); id += 2) summary = Summary(Give(test.abuse(id)));
    EXPECT_NE(summary.find("GOAWAY 11"), summary.npos) << test.name << ": " << summary;
    EXPECT_LT(id, 2u * 110) << test.name;
    EXPECT_LE(log_.size(), 2u * 110) << test.name;
  }
}

TEST_F(H2ServerTest, ResetsAmongCompletedStreamsAreNoAbuse) {
  Begin();
  for (uint32_t id = 1; id < 1200; id += 6) {
    Give(h2::Head(id, kGet));
    Give(h2::Head(id + 2, With(":path", "/hang")) + h2::Head(id + 4, With(":path", "/hang")));
    Give(h2::Reset(id + 2, 8) + h2::Reset(id + 4, 8));
  }
  EXPECT_FALSE(over());
}

TEST_F(H2ServerTest, FramesThatCarryNothingAreCounted) {
  const struct {
    const char* name;
    std::string frame;
    std::string before;
  } kCases[] = {
      {"H208 SETTINGS", h2::Settings({}), ""},
      {"H209 PING", h2::Ping(), ""},
      {"H209 PING ACK", h2::Ping(h2::kAck), ""},
      {"H211 PRIORITY", h2::Frame(h2::kPriority, 0, 1, h2::Number(0, 5)), ""},
      {"H212 empty DATA", h2::Data(1, ""), h2::Head(1, With(":path", "/hang"), 0)},
      {"WINDOW_UPDATE", h2::WindowUpdate(0, 1), ""},
      {"an unknown frame", h2::Frame(0xa5, 0, 0, "abc"), ""},
      {"the first that RFC 9113 does not know", h2::Frame(0x0a, 0, 0, ""), ""},
      {"the last type", h2::Frame(0xff, 0, 0, ""), ""},
  };
  for (const auto& test : kCases) {
    Begin();
    Give(test.before);
    std::string summary;
    int count = 0;
    for (; count < 3000 && !over(); ++count) summary = Summary(Give(test.frame));
    EXPECT_NE(summary.find("GOAWAY 11"), summary.npos) << test.name << ": " << summary;
    EXPECT_LT(count, 1100) << test.name;
  }
}

// VU#421644.
TEST_F(H2ServerTest, H204ContinuationsAreCounted) {
  Begin();
  std::string bytes = h2::Frame(h2::kHeaders, 0, 1, "\x82");
  for (int i = 0; i < 9; ++i) bytes += h2::Frame(h2::kContinuation, 0, 1, "");
  EXPECT_EQ(Summary(Give(bytes)), "GOAWAY 11");
}

// A small block that stands for a huge list.
TEST_F(H2ServerTest, AnAbsurdHeaderListEndsTheConnection) {
  Begin();
  // x: 4,000 times "a", kept in the table, and named again and again.
  const std::string entry = std::string("\x40\x01x\x7f\xa1\x1e", 6) + std::string(4000, 'a');
  const std::string block = h2::Block(kGet) + entry + std::string(200, '\xbe');
  EXPECT_EQ(Summary(Give(h2::Frame(h2::kHeaders, h2::kEndHeaders | 1, 1, block))), "GOAWAY 11");
  EXPECT_TRUE(log_.empty());
}

TEST_F(H2ServerTest, ALargeHeaderListNeedsRoom) {
  const auto memory = [this] { return budget_.held(Limit::kMemoryBytes); };
  constexpr uint8_t kEndBoth = h2::kEndHeaders | h2::kEndStream;
  const std::string block = h2::Block(With("x", std::string(10'000, 'a')));
  const std::string begun = h2::Frame(h2::kHeaders, h2::kEndStream, 1, block.substr(0, 9'000));
  const std::string entry = std::string("\x40\x01x\x7f\xa1\x1e", 6) + std::string(4000, 'a');
  const std::string small =
      h2::Frame(h2::kHeaders, kEndBoth, 1, h2::Block(kGet) + entry + std::string(3, '\xbe'));
  Begin();
  Give(begun);
  EXPECT_EQ(memory(), 2 * 60 * 1024);
  EXPECT_EQ(StatusOf(Give(h2::Frame(h2::kContinuation, h2::kEndHeaders, 1, block.substr(9'000)))),
            "200");
  EXPECT_EQ(memory(), 0);
  Begin();
  EXPECT_EQ(StatusOf(Give(small)), "200");

  const int64_t most = budget_.limits()[Limit::kMemoryBytes];
  const Gauge::Token others = budget_.Hold(Limit::kMemoryBytes, most);
  Begin();
  EXPECT_EQ(StatusOf(Give(h2::Head(1, kGet))), "200");
  EXPECT_EQ(budget_.exceeded(Limit::kMemoryBytes), 0u);
  for (const std::string& bytes : {begun, small}) {
    Begin();
    EXPECT_EQ(Summary(Give(bytes)), "GOAWAY 11");
    EXPECT_TRUE(log_.empty());
  }
  EXPECT_EQ(budget_.exceeded(Limit::kMemoryBytes), 2u);
}

TEST_F(H2ServerTest, NoMoreStreamsAtOnceThanAnnounced) {
  Begin();
  Give(h2::SettingsAck());
  for (uint32_t id = 1; id < 200; id += 2) Give(h2::Head(id, With(":path", "/hang")));
  EXPECT_EQ(log_.size(), 100u);
  EXPECT_EQ(Summary(Give(h2::Head(201, kGet))), "RST_STREAM 201 7");
  Give(h2::Reset(1, 8));
  EXPECT_EQ(StatusOf(Give(h2::Head(203, kGet)), 203), "200");
}

// A peer that reads nothing gets no refusals: it may not leave them to us for ever.
TEST_F(H2ServerTest, RefusedStreamsThatPileUpEndTheConnection) {
  Begin();
  Give(h2::SettingsAck());
  std::string bytes;
  for (uint32_t id = 1; id < 2 * 300; id += 2) bytes += h2::Head(id, With(":path", "/hang"));
  EXPECT_NE(Summary(Give(bytes)).find("GOAWAY"), std::string::npos);
  EXPECT_LE(log_.size(), 2 * 100u);  // What began was given up.
}

TEST_F(H2ServerTest, RetiringLetsWhatHasBegunGoOn) {
  Begin();
  Give(h2::Head(1, With(":path", "/echo", kPost), 0));
  server_->Retire();
  RunReady(context_);
  EXPECT_EQ(Summary(Output()), "HEADERS 1 200, GOAWAY 0");
  EXPECT_EQ(Summary(Give(h2::Head(3, kGet))), "");  // The GOAWAY says what became of it.
  EXPECT_EQ(log_.size(), 1u);
  EXPECT_EQ(BodyOf(Give(h2::Data(1, "late", h2::kEndStream))), "late");
  AwaitEnd();
}

const h2::Fields kWebSocket = {{":method", "CONNECT"},
                               {":protocol", "websocket"},
                               {":scheme", "http"},
                               {":path", "/chat"},
                               {":authority", "good.test"}};

TEST_F(H2ServerTest, AWebSocketCarriesBytesBothWays) {
  Begin();
  const auto frames = Give(h2::Head(1, kWebSocket, 0));
  EXPECT_EQ(StatusOf(frames), "200");
  EXPECT_EQ(frames[0].Field("sec-websocket-accept"), "");
  EXPECT_EQ(BodyOf(frames), "hello");
  EXPECT_EQ(BodyOf(Give(h2::Data(1, "ping"))), "ping");
  EXPECT_EQ(Summary(Give(h2::Data(1, "", h2::kEndStream))), "DATA 1 END");
}

TEST_F(H2ServerTest, AWebSocketNeedsTheProofOfItsKey) {
  Begin();
  EXPECT_EQ(Summary(Give(h2::Head(1, With("x-accept", "wrong", kWebSocket), 0))), "RST_STREAM 1 2");
}

TEST_F(H2ServerTest, SettingsOfAPeerMayChangeWhileStreamsWait) {
  Begin();
  Give(h2::Settings({{4, 10}}));
  Give(h2::Head(1, With(":path", "/30")));
  // A window that becomes negative (RFC 9113 section 6.9.2).
  Give(h2::Settings({{4, 0}}));
  EXPECT_EQ(BodyOf(Give(h2::WindowUpdate(1, 10))), "");
  EXPECT_EQ(BodyOf(Give(h2::WindowUpdate(1, 20))).size(), 20u);
}

}  // namespace
}  // namespace sallyport::proxy
