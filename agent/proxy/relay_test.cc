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
                                        std::move(early)));
  }

  boost::asio::io_context context_;
  MemoryStream::Pair client_;
  MemoryStream::Pair upstream_;
};

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
