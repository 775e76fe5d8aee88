#include "agent/proxy/testing/memory_stream.h"

#include <gtest/gtest.h>

#include <array>

#include "agent/proxy/testing/run.h"

namespace sallyport::proxy {
namespace {

using std::chrono::milliseconds;

class MemoryStreamTest : public testing::Test {
 protected:
  MemoryStreamTest() { std::tie(a_, b_) = MemoryStream::MakePair(context_); }

  // What one Read gives, or the name of its error.
  std::string Read(Stream& stream) {
    std::array<char, 16> buffer;
    const absl::StatusOr<size_t> count = RunTask(context_, stream.Read(buffer));
    if (!count.ok()) return absl::StatusCodeToString(count.status().code());
    return *count == 0 ? "END" : std::string(buffer.data(), *count);
  }
  absl::StatusCode Write(Stream& stream, std::string_view bytes) {
    return RunTask(context_, stream.Write({&bytes, 1})).code();
  }
  static SteadyTime In(milliseconds time) { return std::chrono::steady_clock::now() + time; }

  boost::asio::io_context context_{1};
  std::unique_ptr<MemoryStream> a_, b_;
};

TEST_F(MemoryStreamTest, CarriesBytesAndEnd) {
  EXPECT_EQ(Write(*a_, "hello"), absl::StatusCode::kOk);
  EXPECT_EQ(a_->written(), "hello");
  EXPECT_TRUE(RunTask(context_, a_->ShutdownWrite()).ok());
  EXPECT_EQ(Read(*b_), "hello");
  EXPECT_EQ(Read(*b_), "END");
  EXPECT_EQ(Read(*b_), "END");
}

TEST_F(MemoryStreamTest, ReadsShort) {
  b_->set_faults({.max_read = 2});
  b_->Receive("abc");
  EXPECT_EQ(Read(*b_), "ab");
  EXPECT_EQ(Read(*b_), "c");
}

TEST_F(MemoryStreamTest, ResetsAtAByte) {
  b_->set_faults({.reset_read_at = 2, .reset_write_at = 3});
  b_->Receive("abc");
  EXPECT_EQ(Read(*b_), "ab");
  EXPECT_EQ(Read(*b_), "UNAVAILABLE");
  EXPECT_EQ(Write(*b_, "defg"), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Read(*a_), "def");
}

TEST_F(MemoryStreamTest, StallsUntilTheDeadline) {
  b_->set_faults({.stall_read_at = 1, .stall_write_at = 0});
  b_->Receive("ab");
  b_->SetDeadline(In(milliseconds(20)));
  EXPECT_EQ(Read(*b_), "a");
  EXPECT_EQ(Read(*b_), "DEADLINE_EXCEEDED");
  EXPECT_EQ(Write(*b_, "x"), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(MemoryStreamTest, WaitsForRoom) {
  a_->set_faults({.capacity = 2});
  a_->SetDeadline(In(milliseconds(20)));
  EXPECT_EQ(Write(*a_, "abc"), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(Read(*b_), "ab");
}

TEST_F(MemoryStreamTest, PassesResetsOn) {
  a_->Close(Stream::How::kReset);
  EXPECT_EQ(Read(*b_), "UNAVAILABLE");
  EXPECT_TRUE(b_->was_reset());
  EXPECT_EQ(Read(*a_), "CANCELLED");
}

}  // namespace
}  // namespace sallyport::proxy
