#include "agent/proxy/event.h"

#include <gtest/gtest.h>

#include <boost/asio/post.hpp>
#include <string>

namespace sallyport::proxy {
namespace {

using std::chrono::milliseconds;

Task<void> Record(Event* event, SteadyTime deadline, std::string name, std::string* log) {
  const absl::Status status = co_await event->Wait(deadline);
  *log += name + (status.ok()                                            ? "+"
                  : status.code() == absl::StatusCode::kDeadlineExceeded ? "-"
                                                                         : "?");
}

class EventTest : public testing::Test {
 protected:
  void Await(SteadyTime deadline, const std::string& name) {
    Spawn(context_, Record(&event_, deadline, name, &log_));
  }
  static SteadyTime In(milliseconds time) { return std::chrono::steady_clock::now() + time; }

  boost::asio::io_context context_{1};
  Event event_{context_};
  std::string log_;
};

TEST_F(EventTest, WakesEveryWaiter) {
  Await(SteadyTime::max(), "a");
  Await(SteadyTime::max(), "b");
  context_.poll();
  EXPECT_EQ(log_, "");
  event_.Notify();
  EXPECT_EQ(log_, "");  // Not inside Notify.
  context_.poll();
  EXPECT_EQ(log_, "a+b+");
}

TEST_F(EventTest, StaysNotified) {
  event_.Notify();
  Await(SteadyTime::max(), "a");
  context_.poll();
  EXPECT_EQ(log_, "a+");
  EXPECT_TRUE(event_.notified());
}

TEST_F(EventTest, ResetMakesTheNextWaiterWait) {
  event_.Notify();
  event_.Reset();
  Await(SteadyTime::max(), "a");
  context_.poll();
  EXPECT_EQ(log_, "");
  event_.Notify();
  context_.poll();
  EXPECT_EQ(log_, "a+");
}

TEST_F(EventTest, ResetDoesNotTakeAWakeUpBack) {
  Await(SteadyTime::max(), "a");
  context_.poll();
  event_.Notify();
  event_.Reset();
  context_.poll();
  EXPECT_EQ(log_, "a+");
}

TEST_F(EventTest, EveryWaiterHasItsOwnDeadline) {
  Await(SteadyTime::max(), "never");
  Await(In(milliseconds(20)), "late");
  Await(In(milliseconds(1)), "early");
  Await(In(milliseconds(-1)), "past");
  while (log_ != "past-early-late-") context_.run_one();
  event_.Notify();
  context_.run();
  EXPECT_EQ(log_, "past-early-late-never+");
}

TEST_F(EventTest, ADeadlineLeavesTheEventUsable) {
  Await(In(milliseconds(1)), "a");
  context_.run();
  context_.restart();
  Await(In(milliseconds(600000)), "b");
  context_.poll();
  event_.Notify();
  context_.run();
  EXPECT_EQ(log_, "a-b+");
}

}  // namespace
}  // namespace sallyport::proxy
