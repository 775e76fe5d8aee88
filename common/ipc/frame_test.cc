#include "common/ipc/frame.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#include <string>
#include <thread>
#include <utility>

#include "gtest/gtest.h"

namespace sallyport {
namespace {

struct Pair {
  UniqueFd left, right;
};

Pair MakePair() {
  int fds[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

bool SameFile(int a, int b) {
  struct stat first, second;
  return fstat(a, &first) == 0 && fstat(b, &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

std::string Encode(const std::string& payload) {
  const size_t n = payload.size();
  return std::string{static_cast<char>(n >> 24), static_cast<char>(n >> 16),
                     static_cast<char>(n >> 8), static_cast<char>(n)} +
         payload;
}

TEST(FrameTest, CarriesPayloads) {
  Pair pair = MakePair();
  for (const std::string& payload : {std::string("hello"), std::string(), std::string("\0\n", 2)}) {
    ASSERT_TRUE(SendFrame(pair.left.get(), payload, {}).ok());
  }
  for (const std::string& payload : {std::string("hello"), std::string(), std::string("\0\n", 2)}) {
    absl::StatusOr<Frame> frame = ReceiveFrame(pair.right.get());
    ASSERT_TRUE(frame.ok()) << frame.status();
    EXPECT_EQ(frame->payload, payload);
    EXPECT_TRUE(frame->fds.empty());
  }
}

TEST(FrameTest, CarriesDescriptorsInOrderWithTheirFrame) {
  Pair pair = MakePair();
  UniqueFd null(open("/dev/null", O_RDONLY)), zero(open("/dev/zero", O_RDONLY));
  const int fds[] = {null.get(), zero.get()};
  ASSERT_TRUE(SendFrame(pair.left.get(), "before", {}).ok());
  ASSERT_TRUE(SendFrame(pair.left.get(), "two", fds).ok());
  ASSERT_TRUE(SendFrame(pair.left.get(), "after", {}).ok());

  EXPECT_TRUE(ReceiveFrame(pair.right.get())->fds.empty());
  absl::StatusOr<Frame> frame = ReceiveFrame(pair.right.get());
  ASSERT_TRUE(frame.ok()) << frame.status();
  ASSERT_EQ(frame->fds.size(), 2u);
  EXPECT_TRUE(SameFile(frame->fds[0].get(), null.get()));
  EXPECT_TRUE(SameFile(frame->fds[1].get(), zero.get()));
  EXPECT_EQ(fcntl(frame->fds[0].get(), F_GETFD), FD_CLOEXEC);
  EXPECT_TRUE(ReceiveFrame(pair.right.get())->fds.empty());
}

TEST(FrameTest, CarriesMoreThanTheSocketHolds) {
  Pair pair = MakePair();
  const std::string payload(5 << 20, 'x');
  const int fds[] = {pair.left.get()};
  absl::Status sent;
  std::thread sender([&] { sent = SendFrame(pair.left.get(), payload, fds); });
  absl::StatusOr<Frame> frame = ReceiveFrame(pair.right.get());
  sender.join();
  ASSERT_TRUE(sent.ok()) << sent;
  ASSERT_TRUE(frame.ok()) << frame.status();
  EXPECT_EQ(frame->payload, payload);
  EXPECT_EQ(frame->fds.size(), 1u);
}

TEST(FrameTest, ReadsOneByteAtATime) {
  Pair pair = MakePair();
  std::thread sender([&] {
    for (const char byte : Encode("slowly")) EXPECT_EQ(send(pair.left.get(), &byte, 1, 0), 1);
  });
  absl::StatusOr<Frame> frame = ReceiveFrame(pair.right.get());
  sender.join();
  ASSERT_TRUE(frame.ok()) << frame.status();
  EXPECT_EQ(frame->payload, "slowly");
}

TEST(FrameTest, EndBetweenFramesIsOutOfRange) {
  Pair pair = MakePair();
  pair.left.Reset();
  EXPECT_EQ(ReceiveFrame(pair.right.get()).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(SendFrame(pair.right.get(), "x", {}).code(), absl::StatusCode::kUnavailable);
}

TEST(FrameTest, EndAnywhereInsideAFrameIsDataLoss) {
  const std::string whole = Encode("payload");
  for (size_t n = 1; n < whole.size(); ++n) {
    Pair pair = MakePair();
    ASSERT_EQ(send(pair.left.get(), whole.data(), n, 0), static_cast<ssize_t>(n));
    pair.left.Reset();
    EXPECT_EQ(ReceiveFrame(pair.right.get()).status().code(), absl::StatusCode::kDataLoss) << n;
  }
}

TEST(FrameTest, RefusesTooLong) {
  Pair pair = MakePair();
  ASSERT_EQ(send(pair.left.get(), "\x04\x00\x00\x01", 4, 0), 4);
  EXPECT_EQ(ReceiveFrame(pair.right.get()).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(SendFrame(pair.left.get(), std::string(kMaxFramePayload + 1, 'x'), {}).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(FrameTest, RefusesTooManyDescriptors) {
  Pair pair = MakePair();
  const std::vector<int> fds(kMaxFrameDescriptors + 1, pair.left.get());
  EXPECT_EQ(SendFrame(pair.left.get(), "x", fds).code(), absl::StatusCode::kInvalidArgument);
}

TEST(FrameTest, ASilentPeerRunsIntoTheSocketsTimeout) {
  Pair pair = MakePair();
  const timeval timeout{.tv_sec = 0, .tv_usec = 1000};
  ASSERT_EQ(setsockopt(pair.right.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), 0);
  EXPECT_EQ(ReceiveFrame(pair.right.get()).status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST(FrameTest, SaysSoWhenDescriptorsDoNotFit) {
  Pair pair = MakePair();
  const int fds[] = {pair.left.get()};
  ASSERT_TRUE(SendFrame(pair.left.get(), "x", fds).ok());
  rlimit old;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = old.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const absl::Status status = ReceiveFrame(pair.right.get()).status();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
}

}  // namespace
}  // namespace sallyport
