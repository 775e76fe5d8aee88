#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <thread>

#include "common/base/check.h"
#include "common/base/descriptors.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/base/unique_fd.h"

namespace sallyport {
namespace {

absl::StatusOr<int> Half(int n) {
  if (n % 2 != 0) return absl::InvalidArgumentError("odd");
  return n / 2;
}

absl::StatusOr<int> Quarter(int n) {
  ASSIGN_OR_RETURN(const int half, Half(n));
  RETURN_IF_ERROR(Half(half).status());
  return half / 2;
}

TEST(StatusMacrosTest, HandTheValueOnOrTheError) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(Quarter(7).status().message(), "odd");
  EXPECT_EQ(Quarter(6).status().message(), "odd");
}

// proc(5): "FDSize".
rlim_t RoomForDescriptors() {
  std::ifstream status("/proc/self/status");
  rlim_t room = 0;
  for (std::string word; status >> word;) {
    if (word == "FDSize:") status >> room;
  }
  return room;
}

TEST(ReserveDescriptorsTest, RoomForAsManyAsTheProcessMayHave) {
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few = {std::min<rlim_t>(before.rlim_max, 1000), before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  ReserveDescriptors();
  EXPECT_GE(RoomForDescriptors(), few.rlim_cur);
  EXPECT_LT(RoomForDescriptors(), 10'000U);

  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  ReserveDescriptors();
  EXPECT_GE(RoomForDescriptors(), std::min<rlim_t>(before.rlim_cur, 65'536));
}

TEST(UniqueFdTest, ClosesOnceAndMoves) {
  UniqueFd first(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(first.valid());
  const int fd = first.get();
  UniqueFd second(std::move(first));
  EXPECT_FALSE(first.valid());  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(second.get(), fd);
  second.Reset();
  EXPECT_EQ(::fcntl(fd, F_GETFD), -1);
}

TEST(CondVarTest, WakesTheWaiter) {
  Mutex mutex;
  CondVar changed;
  bool ready = false;
  std::thread other([&] {
    MutexLock lock(&mutex);
    ready = true;
    changed.SignalAll();
  });
  mutex.Lock();
  while (!ready) changed.Wait(&mutex);
  mutex.Unlock();
  other.join();
}

TEST(CondVarTest, SaysThatTheDeadlinePassed) {
  Mutex mutex;
  CondVar changed;
  MutexLock lock(&mutex);
  EXPECT_FALSE(changed.WaitUntil(&mutex, std::chrono::steady_clock::time_point()));
}

TEST(CheckDeathTest, BrokenInvariantsEndTheProgram) {
  SALLYPORT_CHECK(1 + 1 == 2);
  EXPECT_DEATH(SALLYPORT_CHECK(1 + 1 == 3), "broken invariant at .*: 1 \\+ 1 == 3");
}

}  // namespace
}  // namespace sallyport
