#include "agent/proxy/pipe_pool.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/proxy/testing/sockets.h"

namespace sallyport::proxy {
namespace {

class PipePoolTest : public testing::Test {
 protected:
  // What arrived at the far end of `to_`, without waiting.
  std::string Received() {
    char buffer[64];
    const ssize_t count = ::recv(to_.b.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
    return count < 0 ? "nothing" : std::string(buffer, static_cast<size_t>(count));
  }
  void Send(std::string_view bytes) {
    ASSERT_EQ(::send(from_.b.get(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
  }

  boost::asio::execution_context context_;
  PipePool& pool_ = boost::asio::use_service<PipePool>(context_);
  Sockets from_ = UnixPair();
  Sockets to_ = UnixPair();
};

TEST_F(PipePoolTest, MovesBytesAndIsKept) {
  {
    PipePool::Pipe pipe = pool_.Borrow().value();
    EXPECT_EQ(pool_.borrowed(), 1u);
    Send("hello");
    EXPECT_EQ(pipe.Fill(from_.a.get()), 5);
    EXPECT_EQ(pipe.held(), 5u);
    EXPECT_EQ(pipe.Drain(to_.a.get()), 5);
    EXPECT_EQ(pipe.held(), 0u);
    EXPECT_EQ(Received(), "hello");
  }
  EXPECT_EQ(pool_.borrowed(), 0u);
  EXPECT_EQ(pool_.idle(), 1u);
}

TEST_F(PipePoolTest, WhatIsLeftInAPipeNeverComesOutOfAnother) {
  {
    PipePool::Pipe pipe = pool_.Borrow().value();
    Send("secret");
    EXPECT_EQ(pipe.Fill(from_.a.get()), 6);
  }
  EXPECT_EQ(pool_.borrowed(), 0u);
  EXPECT_EQ(pool_.idle(), 0u);
  PipePool::Pipe pipe = pool_.Borrow().value();
  Send("mine");
  EXPECT_EQ(pipe.Fill(from_.a.get()), 4);
  EXPECT_EQ(pipe.Drain(to_.a.get()), 4);
  EXPECT_EQ(Received(), "mine");
}

TEST_F(PipePoolTest, SaysThatNothingIsThereAndThatItEnded) {
  PipePool::Pipe pipe = pool_.Borrow().value();
  EXPECT_EQ(pipe.Fill(from_.a.get()), -1);
  EXPECT_EQ(errno, EAGAIN);
  from_.b.Reset();
  EXPECT_EQ(pipe.Fill(from_.a.get()), 0);
}

TEST_F(PipePoolTest, HasALimitAndKeepsFew) {
  std::vector<PipePool::Pipe> pipes;
  while (std::optional<PipePool::Pipe> pipe = pool_.Borrow()) pipes.push_back(*std::move(pipe));
  // Fewer where the process may not have so many descriptors.
  EXPECT_LE(pipes.size(), PipePool::kMaxBorrowed);
  EXPECT_GT(pipes.size(), PipePool::kMaxIdle);
  pipes.clear();
  EXPECT_EQ(pool_.borrowed(), 0u);
  EXPECT_EQ(pool_.idle(), PipePool::kMaxIdle);
  EXPECT_TRUE(pool_.Borrow().has_value());
}

}  // namespace
}  // namespace sallyport::proxy
