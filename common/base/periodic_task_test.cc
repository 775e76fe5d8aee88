#include "common/base/periodic_task.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <memory>
#include <thread>
#include <utility>

namespace sallyport {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;

TEST(PeriodicTaskTest, IsCalledAgainAndAgainFromAnotherThread) {
  std::latch thrice(3);
  std::atomic<int> calls = 0;
  std::atomic<bool> here = false;
  const std::thread::id self = std::this_thread::get_id();
  const PeriodicTask task(milliseconds(1), [&] {
    if (std::this_thread::get_id() == self) here = true;
    if (++calls <= 3) thrice.count_down();
  });
  thrice.wait();
  EXPECT_FALSE(here);
}

TEST(PeriodicTaskTest, IsFirstCalledAfterAPeriod) {
  bool called = false;
  {
    const PeriodicTask task(hours(1), [&] { called = true; });
  }
  // And the end has not waited for the period.
  EXPECT_FALSE(called);
}

TEST(PeriodicTaskTest, EndsAfterTheCallThatIsUnderWay) {
  std::latch begun(1);
  std::latch ending(1);
  bool done = false;  // Not atomic: the end of the task comes before what is read here.
  std::thread end;
  {
    auto task = std::make_unique<PeriodicTask>(milliseconds(1), [&] {
      if (done) return;
      begun.count_down();
      ending.wait();
      done = true;
    });
    begun.wait();
    end = std::thread([task = std::move(task), &ending]() mutable {
      ending.count_down();
      task.reset();
    });
  }
  end.join();
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace sallyport
