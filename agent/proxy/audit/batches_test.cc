#include "agent/proxy/audit/batches.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/post.hpp>
#include <csignal>
#include <memory>
#include <optional>
#include <string>

#include "agent/proxy/testing/run.h"

namespace sallyport::proxy {
namespace {

// Packets, so that each write(2) is seen.
class AuditBatchesTest : public testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    ours_ = UniqueFd(ends[0]);
    sink_ = std::make_shared<AuditSink>(UniqueFd(ends[1]));
  }

  void Add(std::string_view line) {
    boost::asio::use_service<AuditBatches>(*context_).Add(sink_, line);
  }

  // What the next write(2) brought; empty: there is none.
  std::string NextWrite() {
    std::array<char, 64 * 1024> buffer;
    const ssize_t count = read(ours_.get(), buffer.data(), buffer.size());
    return count <= 0 ? "" : std::string(buffer.data(), static_cast<size_t>(count));
  }

  UniqueFd ours_;
  std::shared_ptr<AuditSink> sink_;
  std::optional<boost::asio::io_context> context_{1};
};

TEST_F(AuditBatchesTest, WhatComesInOnePassIsOneWrite) {
  for (const char* line : {"one\n", "two\n"}) {
    boost::asio::post(*context_, [this, line] { Add(line); });
  }
  RunReady(*context_);
  EXPECT_EQ(NextWrite(), "one\ntwo\n");
  EXPECT_EQ(NextWrite(), "");
}

TEST_F(AuditBatchesTest, NothingIsHeldBackWhenTheLoopHasNothingToDo) {
  Add("one\n");
  RunReady(*context_);
  EXPECT_EQ(NextWrite(), "one\n");
  Add("two\n");
  RunReady(*context_);
  EXPECT_EQ(NextWrite(), "two\n");
}

TEST_F(AuditBatchesTest, NoWriteIsLongerThanAFifoTakesWhole) {
  const std::string line = std::string(1499, 'x') + "\n";
  for (int i = 0; i < 4; ++i) Add(line);
  RunReady(*context_);
  EXPECT_EQ(NextWrite(), line + line);
  EXPECT_EQ(NextWrite(), line + line);
}

TEST_F(AuditBatchesTest, ALineThatIsLongerIsWrittenAlone) {
  const std::string longer = std::string(2 * AuditBatches::kMaxBytes, 'x') + "\n";
  for (const std::string& line : {std::string("one\n"), longer, std::string("two\n")}) Add(line);
  RunReady(*context_);
  EXPECT_EQ(NextWrite(), "one\n");
  EXPECT_EQ(NextWrite(), longer);
  EXPECT_EQ(NextWrite(), "two\n");
}

TEST_F(AuditBatchesTest, TheEndWritesWhatIsHeldBack) {
  Add("one\n");
  context_.reset();
  EXPECT_EQ(NextWrite(), "one\n");
}

TEST_F(AuditBatchesTest, EachLineThatIsNotTakenIsCounted) {
  ours_.Reset();
  signal(SIGPIPE, SIG_IGN);
  for (const char* line : {"one\n", "two\n", "three\n"}) Add(line);
  RunReady(*context_);
  EXPECT_EQ(sink_->lost(), 3U);
}

TEST_F(AuditBatchesTest, EachSinkHasItsOwn) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd other_reader(ends[0]);
  const auto other = std::make_shared<AuditSink>(UniqueFd(ends[1]));
  Add("one\n");
  boost::asio::use_service<AuditBatches>(*context_).Add(other, "other\n");
  Add("two\n");
  RunReady(*context_);
  EXPECT_EQ(NextWrite(), "one\ntwo\n");
  std::array<char, 64> buffer;
  EXPECT_EQ(read(other_reader.get(), buffer.data(), buffer.size()), 6);
}

}  // namespace
}  // namespace sallyport::proxy
