#include "agent/proxy/http/h2_session.h"

#include <gtest/gtest.h>

#include "agent/proxy/testing/h2_frames.h"
#include "agent/proxy/testing/run.h"

namespace sallyport::proxy {
namespace {

const h2::Fields kGet = {
    {":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "good.test"}};
const h2::Fields kPost = {
    {":method", "POST"}, {":scheme", "http"}, {":path", "/"}, {":authority", "good.test"}};

class H2SessionTest : public testing::Test {
 protected:
  H2SessionTest() { Begin(H2Limits{}); }

  void Begin(const H2Limits& limits) {
    session_ = std::make_unique<H2Session>(context_, H2Session::Role::kServer, limits);
    reader_ = std::make_unique<h2::FrameReader>();
    EXPECT_TRUE(Give(h2::Preface()).ok());
  }
  absl::Status Give(const std::string& bytes) {
    absl::Status given = session_->OnInput(bytes);
    for (auto& stream : session_->TakeNewStreams()) streams_.push_back(std::move(stream));
    return given;
  }
  // What the peer gets now.
  std::vector<h2::ReceivedFrame> Output(size_t enough = 1 << 30) {
    std::string bytes;
    session_->TakeOutput(enough, &bytes);
    return reader_->Read(bytes);
  }
  h2::ReceivedFrame Last(uint8_t type) {
    h2::ReceivedFrame last;
    for (h2::ReceivedFrame& frame : Output()) {
      if (frame.type == type) last = std::move(frame);
    }
    return last;
  }
  void Answer(H2Stream& stream, bool ends_stream = false) {
    Headers head;
    head.Add(":status", "200");
    session_->SendHead(stream, head, H2Session::HeadKind::kFinal, ends_stream);
  }

  boost::asio::io_context context_{1};
  std::unique_ptr<H2Session> session_;
  std::unique_ptr<h2::FrameReader> reader_;
  std::vector<std::shared_ptr<H2Stream>> streams_;
};

TEST_F(H2SessionTest, GivesARequestAndSendsItsAnswer) {
  ASSERT_TRUE(Give(h2::Head(1, kGet)).ok());
  ASSERT_EQ(streams_.size(), 1u);
  H2Stream& stream = *streams_[0];
  ASSERT_EQ(stream.heads.size(), 1u);
  EXPECT_TRUE(stream.heads[0].ends_stream);
  EXPECT_EQ(*stream.heads[0].fields.Find(":authority"), "good.test");
  Answer(stream);
  stream.piece = "hello";
  stream.end_after = true;
  session_->Send(stream);
  Output();
  EXPECT_EQ(stream.outgoing(), 0u);
  EXPECT_TRUE(stream.local_ended);
  EXPECT_TRUE(stream.closed);
  EXPECT_TRUE(stream.failure.ok());
}

TEST_F(H2SessionTest, AWriteWaitsForTheWindows) {
  Give(h2::Settings({{4, 10}})).IgnoreError();
  Give(h2::Head(1, kGet)).IgnoreError();
  H2Stream& stream = *streams_.at(0);
  Answer(stream);
  stream.held = "0123";
  stream.piece = "456789abcdef";
  session_->Send(stream);
  EXPECT_EQ(Last(h2::kData).payload, "0123456789");
  EXPECT_EQ(stream.outgoing(), 6u);
  Give(h2::WindowUpdate(1, 2)).IgnoreError();
  EXPECT_EQ(Last(h2::kData).payload, "ab");
  Give(h2::WindowUpdate(1, 100)).IgnoreError();
  EXPECT_EQ(Last(h2::kData).payload, "cdef");
  EXPECT_EQ(stream.outgoing(), 0u);
  EXPECT_EQ(stream.sent_bytes, 16u);
}

TEST_F(H2SessionTest, AWriterThatLeavesTakesItsBytesWithIt) {
  Give(h2::Settings({{4, 1}})).IgnoreError();
  Give(h2::Head(1, kGet)).IgnoreError();
  H2Stream& stream = *streams_.at(0);
  Answer(stream);
  stream.piece = "abc";
  session_->Send(stream);
  Output();
  session_->Reset(stream, H2Error::kInternalError, absl::CancelledError("given up"));
  Give(h2::WindowUpdate(1, 100)).IgnoreError();
  const h2::ReceivedFrame reset = Last(h2::kRstStream);
  EXPECT_EQ(reset.stream, 1u);
  EXPECT_EQ(reset.error(), 2u);
  EXPECT_TRUE(stream.closed);
}

TEST_F(H2SessionTest, AStreamsWindowIsGivenBackAsItIsRead) {
  H2Limits limits;
  limits.stream_window = 32 * 1024;
  Begin(limits);
  const std::string piece(16 * 1024, 'x');
  Give(h2::Head(1, kPost, 0) + h2::Data(1, piece) + h2::Data(1, piece)).IgnoreError();
  H2Stream& stream = *streams_.at(0);
  EXPECT_EQ(stream.unread.size(), 2 * piece.size());
  EXPECT_EQ(Last(h2::kWindowUpdate).stream, 0u);
  session_->Consume(stream, 2 * piece.size());
  const h2::ReceivedFrame update = Last(h2::kWindowUpdate);
  EXPECT_EQ(update.stream, 1u);
  EXPECT_EQ(update.payload, h2::Number(2 * piece.size(), 4));
}

TEST_F(H2SessionTest, AWindowGrowsWithItsReader) {
  H2Limits limits;
  limits.stream_window = 16 * 1024;
  limits.max_stream_window = 40 * 1024;
  limits.connection_window = 64 * 1024;
  Begin(limits);
  std::vector<size_t> asked_for;
  bool has_room = true;
  const auto held = std::make_shared<int>();
  session_->set_hold_memory([&](size_t bytes) -> std::shared_ptr<void> {
    asked_for.push_back(bytes);
    return has_room ? held : nullptr;
  });
  const std::string piece(16 * 1024, 'x');
  bool given_back = false;
  const auto read = [&](size_t times) {
    for (size_t i = 0; i < times; ++i) {
      ASSERT_TRUE(Give(h2::Data(1, piece)).ok());
      session_->Consume(*streams_.at(0), piece.size());
      // Without which the next would be too much.
      given_back = Last(h2::kWindowUpdate).stream == 1;
    }
  };
  Output();
  Give(h2::SettingsAck() + h2::Head(1, kPost, 0)).IgnoreError();
  has_room = false;
  read(1);
  EXPECT_EQ(streams_.at(0)->window, 16u * 1024);
  has_room = true;
  read(1);
  EXPECT_EQ(streams_.at(0)->window, 32u * 1024);
  EXPECT_EQ(session_->connection_window(), 64u * 1024);
  read(1);
  EXPECT_EQ(streams_.at(0)->window, 32u * 1024);
  read(1);
  EXPECT_EQ(streams_.at(0)->window, 40u * 1024);
  EXPECT_EQ(session_->connection_window(), 80u * 1024);
  read(8);
  if (!given_back) read(1);
  ASSERT_TRUE(given_back);
  EXPECT_EQ(streams_.at(0)->window, 40u * 1024);
  EXPECT_EQ(asked_for, (std::vector<size_t>{16 * 1024, 16 * 1024, 24 * 1024}));
  EXPECT_EQ(held.use_count(), 2);
  // The peer may use all of it.
  const absl::Status used =
      Give(h2::Data(1, piece) + h2::Data(1, piece) + h2::Data(1, piece.substr(8 * 1024)));
  EXPECT_TRUE(used.ok()) << used;
  EXPECT_EQ(Last(h2::kRstStream).type, 0u);
  EXPECT_EQ(streams_.at(0)->owed, 40u * 1024);
  session_->Release(*streams_.at(0));
  EXPECT_EQ(held.use_count(), 1);
}

TEST_F(H2SessionTest, TheConnectionsWindowIsKeptWhenTooMuchIsUnread) {
  H2Limits limits;
  limits.connection_window = 64 * 1024;
  limits.unread_bytes = 32 * 1024;
  Begin(limits);
  Output();
  const std::string piece(16 * 1024, 'x');
  std::string bytes;
  for (const uint32_t stream : {1, 3, 5, 7})
    bytes += h2::Head(stream, kPost, 0) + h2::Data(stream, piece);
  Give(bytes).IgnoreError();
  EXPECT_EQ(Last(h2::kWindowUpdate).type, 0u);
  for (const auto& stream : streams_) session_->Discard(*stream);
  const h2::ReceivedFrame update = Last(h2::kWindowUpdate);
  EXPECT_EQ(update.stream, 0u);
  EXPECT_EQ(update.payload, h2::Number(4 * piece.size(), 4));
}

TEST_F(H2SessionTest, TheBatchIsBounded) {
  Give(h2::Settings({{4, 1 << 30}}) + h2::WindowUpdate(0, 1 << 30)).IgnoreError();
  const std::string large(1 << 20, 'x');
  for (const uint32_t id : {1, 3, 5}) Give(h2::Head(id, kGet)).IgnoreError();
  for (const auto& stream : streams_) {
    Answer(*stream);
    stream->piece = large;
    session_->Send(*stream);
  }
  std::string bytes;
  session_->TakeOutput(64 * 1024, &bytes);
  EXPECT_GE(bytes.size(), 64u * 1024);
  EXPECT_LT(bytes.size(), 96u * 1024);
}

TEST_F(H2SessionTest, CookieCrumbsAreJoined) {
  h2::Fields fields = kGet;
  for (const char* crumb : {"a=1", "b=2", "c=3"}) fields.emplace_back("cookie", crumb);
  Give(h2::Head(1, fields)).IgnoreError();
  EXPECT_EQ(streams_.at(0)->heads.at(0).fields.Count("cookie"), 1u);
  EXPECT_EQ(*streams_[0]->heads[0].fields.Find("cookie"), "a=1; b=2; c=3");
}

TEST_F(H2SessionTest, AMalformedHeadIsReportedForTheRecord) {
  h2::Fields fields = kGet;
  fields.emplace_back("connection", "close");
  Give(h2::Head(1, fields)).IgnoreError();
  ASSERT_EQ(streams_.size(), 1u);
  EXPECT_TRUE(absl::IsInvalidArgument(streams_[0]->failure));
  EXPECT_TRUE(streams_[0]->heads.empty());
  EXPECT_EQ(Last(h2::kRstStream).error(), 1u);
}

TEST_F(H2SessionTest, StreamsThatAreStillServedCountAsOpen) {
  H2Limits limits;
  limits.streams = 2;
  Begin(limits);
  Give(h2::SettingsAck() + h2::Head(1, kGet) + h2::Reset(1, 8) + h2::Head(3, kGet) +
       h2::Reset(3, 8))
      .IgnoreError();
  EXPECT_EQ(streams_.size(), 2u);
  EXPECT_TRUE(streams_[0]->closed && streams_[1]->closed);
  Give(h2::Head(5, kGet)).IgnoreError();
  EXPECT_EQ(Last(h2::kRstStream).error(), 7u);
  session_->Release(*streams_[0]);
  Give(h2::Head(7, kGet)).IgnoreError();
  EXPECT_EQ(streams_.size(), 3u);
}

TEST_F(H2SessionTest, RetiresAfterItsLastStream) {
  Give(h2::Head(1, kGet)).IgnoreError();
  session_->Retire();
  EXPECT_EQ(Last(h2::kGoAway).error(), 0u);
  EXPECT_FALSE(session_->finished());
  Give(h2::Head(3, kGet)).IgnoreError();
  EXPECT_EQ(streams_.size(), 1u);
  Answer(*streams_[0], true);
  Output();
  EXPECT_TRUE(session_->finished());
}

// Both ends of the engine.
TEST_F(H2SessionTest, AClientAndAServerUnderstandEachOther) {
  H2Session client(context_, H2Session::Role::kClient, H2Limits{});
  session_ = std::make_unique<H2Session>(context_, H2Session::Role::kServer, H2Limits{});
  const auto exchange = [&] {
    std::string bytes;
    client.TakeOutput(1 << 30, &bytes);
    EXPECT_TRUE(Give(bytes).ok());
    bytes.clear();
    session_->TakeOutput(1 << 30, &bytes);
    EXPECT_TRUE(client.OnInput(bytes).ok());
  };
  exchange();
  ASSERT_TRUE(client.accepts_streams());
  Headers head;
  for (const auto& [name, value] : kPost) head.Add(name, value);
  const std::shared_ptr<H2Stream> stream = client.Open(head, false);
  stream->piece = "question";
  stream->end_after = true;
  stream->trailers_out.Add("x-sum", "1");
  client.Send(*stream);
  exchange();
  ASSERT_EQ(streams_.size(), 1u);
  EXPECT_EQ(streams_[0]->unread, "question");
  EXPECT_TRUE(streams_[0]->remote_ended);
  EXPECT_EQ(*streams_[0]->trailers.Find("x-sum"), "1");
  Headers interim;
  interim.Add(":status", "103");
  session_->SendHead(*streams_[0], interim, H2Session::HeadKind::kInterim, false);
  Answer(*streams_[0]);
  streams_[0]->piece = "answer";
  streams_[0]->end_after = true;
  session_->Send(*streams_[0]);
  exchange();
  ASSERT_EQ(stream->heads.size(), 2u);
  EXPECT_EQ(*stream->heads[0].fields.Find(":status"), "103");
  EXPECT_TRUE(stream->head_complete);
  EXPECT_EQ(stream->unread, "answer");
  EXPECT_TRUE(stream->remote_ended && stream->failure.ok() && stream->closed);
}

}  // namespace
}  // namespace sallyport::proxy
