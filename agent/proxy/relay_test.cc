#include "agent/proxy/relay.h"

#include <gtest/gtest.h>

#include "agent/proxy/testing/memory_stream.h"
#include "agent/proxy/testing/run.h"

namespace sallyport::proxy {
namespace {

class RelayTest : public testing::Test {
 protected:
  RelayTest()
      : client_(MemoryStream::MakePair(context_)), upstream_(MemoryStream::MakePair(context_)) {}

  RelayedBytes Relay(std::string early) {
    return RunTask(context_, RelayBytes(&context_, client_.first.get(), upstream_.first.get(),
                                        std::move(early), idle_time_));
  }

  boost::asio::io_context context_;
  std::chrono::milliseconds idle_time_ = std::chrono::minutes(1);
  MemoryStream::Pair client_;
  MemoryStream::Pair upstream_;
};

TEST_F(RelayTest, EndsWhenNothingMoves) {
  idle_time_ = std::chrono::milliseconds(20);
  client_.second->SetDeadline(SteadyTime::max());
  EXPECT_EQ(Relay("early").from_client, 5u);
  EXPECT_TRUE(client_.second->was_reset());
  EXPECT_TRUE(upstream_.second->was_reset());
}

Task<void> RelayAside(boost::asio::io_context* context, Stream* client, Stream* upstream) {
  co_await RelayBytes(context, client, upstream, "", std::chrono::minutes(1));
}

Task<void> WriteAside(Stream* stream, std::string bytes) {
  const std::string_view piece = bytes;
  (void)co_await stream->Write(std::span(&piece, 1));
}

TEST_F(RelayTest, PassesBothWaysAndCounts) {
  client_.first->Receive("question");
  client_.first->ReceiveEnd();
  upstream_.first->Receive("answer");
  upstream_.first->ReceiveEnd();
  const RelayedBytes bytes = Relay("early ");
  EXPECT_EQ(upstream_.first->written(), "early question");
  EXPECT_EQ(client_.first->written(), "answer");
  EXPECT_EQ(bytes.from_client, 14u);
  EXPECT_EQ(bytes.to_client, 6u);
  EXPECT_FALSE(client_.first->was_reset());
}

TEST_F(RelayTest, OneByteAtATime) {
  Faults faults;
  faults.max_read = 1;
  client_.first->set_faults(faults);
  upstream_.first->set_faults(faults);
  client_.first->Receive("question");
  client_.first->ReceiveEnd();
  upstream_.first->Receive("answer");
  upstream_.first->ReceiveEnd();
  Relay("");
  EXPECT_EQ(upstream_.first->written(), "question");
  EXPECT_EQ(client_.first->written(), "answer");
}

TEST_F(RelayTest, AClientThatDoesNotReadStopsTheUpstream) {
  constexpr size_t kSent = 1 << 20;
  Faults faults;
  faults.capacity = 1000;
  client_.first->set_faults(faults);
  Spawn(context_, RelayAside(&context_, client_.first.get(), upstream_.first.get()));
  Spawn(context_, WriteAside(upstream_.second.get(), std::string(kSent, 'x')));
  RunReady(context_);
  EXPECT_EQ(client_.first->written().size(), 1000u);
  // One buffer of the relay, and what the stream holds.
  EXPECT_LE(upstream_.second->written().size(), 2u * 64 * 1024);
  client_.first->Close(Stream::How::kReset);
  RunReady(context_);
  EXPECT_TRUE(upstream_.first->closed());
}

TEST_F(RelayTest, KeepsEveryByteWhileItsBufferGrowsAndShrinks) {
  Faults faults;
  faults.capacity = size_t{1} << 30;
  client_.first->set_faults(faults);
  Spawn(context_, RelayAside(&context_, client_.first.get(), upstream_.first.get()));
  std::string sent;
  for (const size_t size : {1, 4095, 4096, 4097, 300'000, 65'536, 1, 10'000}) {
    for (int i = 0; i < 20; ++i) {
      const std::string piece(size, static_cast<char>('a' + sent.size() % 26));
      upstream_.first->Receive(piece);
      sent += piece;
      RunReady(context_);
    }
  }
  EXPECT_TRUE(client_.first->written() == sent);
  client_.first->Close(Stream::How::kReset);
  RunReady(context_);
}

TEST_F(RelayTest, AResetOnOneSideIsAResetOnTheOther) {
  Faults faults;
  faults.reset_read_at = 3;
  upstream_.first->set_faults(faults);
  upstream_.first->Receive("answer");
  const RelayedBytes bytes = Relay("");
  EXPECT_EQ(bytes.to_client, 3u);
  EXPECT_TRUE(client_.first->was_reset());
}

TEST_F(RelayTest, AnUpstreamThatTakesNothingResetsTheClient) {
  Faults faults;
  faults.reset_write_at = 0;
  upstream_.first->set_faults(faults);
  const RelayedBytes bytes = Relay("hello");
  EXPECT_EQ(bytes.from_client, 0u);
  EXPECT_TRUE(client_.first->was_reset());
}

}  // namespace
}  // namespace sallyport::proxy
