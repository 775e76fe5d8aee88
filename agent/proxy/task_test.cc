#include "agent/proxy/task.h"

#include <gtest/gtest.h>

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "agent/proxy/testing/run.h"

namespace sallyport::proxy {
namespace {

// Waited for by one coroutine.
class Gate {
 public:
  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> waiting) {
    resume_ = Resumption(waiting);
  }
  void await_resume() const noexcept {}

  void Open() { std::exchange(resume_, {})(); }
  void GiveUp() { resume_ = {}; }
  bool is_waited_for() const { return static_cast<bool>(resume_); }

 private:
  Resumption resume_;
};

// Tells when it ends, moved or not.
class Witness {
 public:
  explicit Witness(int* ended) : ended_(ended) {}
  Witness(Witness&& other) noexcept : ended_(std::exchange(other.ended_, nullptr)) {}
  ~Witness() {
    if (ended_ != nullptr) ++*ended_;
  }

 private:
  int* ended_;
};

Task<int> Number(int number) { co_return number; }
Task<int> NumberNow(int number) { return number; }
Task<int> Sum(int count) {
  int sum = 0;
  for (int i = 0; i < count; ++i) sum += co_await (i % 2 == 0 ? Number(1) : NumberNow(1));
  co_return sum;
}
Task<std::unique_ptr<std::string>> Text() { co_return std::make_unique<std::string>("text"); }
Task<void> Nothing() { return {}; }

Task<void> WaitFor(Gate* gate, Witness) { co_await *gate; }
Task<void> WaitForOther(Gate* gate, Witness, Witness others) {
  co_await WaitFor(gate, std::move(others));
  co_await Nothing();
}

class TaskTest : public testing::Test {
 protected:
  boost::asio::io_context context_{1};
  Gate gate_;
  int ended_ = 0;
};

TEST_F(TaskTest, ComesToItsValue) {
  EXPECT_EQ(RunTask(context_, Number(7)), 7);
  EXPECT_EQ(RunTask(context_, NumberNow(7)), 7);
  EXPECT_EQ(*RunTask(context_, Text()), "text");
}

TEST_F(TaskTest, IsOverAtOnceWithoutACoroutine) {
  Task<int> now = NumberNow(7);
  EXPECT_TRUE(now.is_over());
  EXPECT_EQ(std::move(now).Take(), 7);
  EXPECT_FALSE(Number(7).is_over());
  EXPECT_TRUE(Nothing().is_over());
}

// Each that is awaited in turn would otherwise take its part of the stack.
TEST_F(TaskTest, ManyInARowNeedNoStack) { EXPECT_EQ(RunTask(context_, Sum(1'000'000)), 1'000'000); }

TEST_F(TaskTest, BeginsWhenItIsAwaited) {
  {
    const Task<void> never_awaited = WaitFor(&gate_, Witness(&ended_));
  }
  EXPECT_FALSE(gate_.is_waited_for());
  EXPECT_EQ(ended_, 1);
}

TEST_F(TaskTest, WaitsAndGoesOn) {
  bool done = false;
  Spawn(context_, WaitForOther(&gate_, Witness(&ended_), Witness(&ended_)), [&] { done = true; });
  EXPECT_FALSE(gate_.is_waited_for());  // Not before the loop runs.
  RunReady(context_);
  ASSERT_TRUE(gate_.is_waited_for());
  EXPECT_EQ(ended_, 0);
  gate_.Open();
  EXPECT_TRUE(done);
  EXPECT_EQ(ended_, 2);
}

TEST_F(TaskTest, IsSpawnedAtOnceFromTheLoop) {
  bool waited_for = false;
  boost::asio::post(context_, [&] {
    Spawn(context_, WaitFor(&gate_, Witness(&ended_)));
    waited_for = gate_.is_waited_for();
  });
  RunReady(context_);
  EXPECT_TRUE(waited_for);
  gate_.Open();
}

TEST_F(TaskTest, EndsWithAllThatWaitForItIfNothingResumesIt) {
  bool done = false;
  Spawn(context_, WaitForOther(&gate_, Witness(&ended_), Witness(&ended_)), [&] { done = true; });
  RunReady(context_);
  gate_.GiveUp();
  EXPECT_EQ(ended_, 2);
  EXPECT_FALSE(done);
}

TEST_F(TaskTest, EndsWithTheLoop) {
  auto context = std::make_unique<boost::asio::io_context>(1);
  Spawn(*context, WaitFor(&gate_, Witness(&ended_)));
  boost::asio::post(*context, [&] {
    Spawn(*context, [](boost::asio::io_context* loop, Witness) -> Task<void> {
      boost::asio::steady_timer late(*loop, std::chrono::hours(1));
      (void)co_await late.async_wait(kUseTask);
    }(context.get(), Witness(&ended_)));
  });
  context->run_one();
  EXPECT_TRUE(gate_.is_waited_for());
  context->run_one();
  gate_.GiveUp();
  EXPECT_EQ(ended_, 1);
  context.reset();
  EXPECT_EQ(ended_, 2);
}

TEST_F(TaskTest, YieldsToWhatIsReady) {
  std::string order;
  const auto say = [](std::string* said, char what) -> Task<void> {
    said->push_back(what);
    co_await Yield();
    said->push_back(what);
  };
  Spawn(context_, say(&order, 'a'));
  Spawn(context_, say(&order, 'b'));
  RunReady(context_);
  EXPECT_EQ(order, "abab");
}

TEST_F(TaskTest, KnowsItsContext) {
  const auto ask = []() -> Task<boost::asio::io_context*> { co_return &co_await ThisContext(); };
  EXPECT_EQ(RunTask(context_, ask()), &context_);
}

TEST_F(TaskTest, AwaitsWhatAsioDoes) {
  boost::asio::steady_timer timer(context_, std::chrono::milliseconds(1));
  const auto wait = [](boost::asio::steady_timer* awaited) -> Task<boost::system::error_code> {
    co_return co_await awaited->async_wait(kUseTask);
  };
  EXPECT_FALSE(RunTask(context_, wait(&timer)));
  timer.expires_after(std::chrono::hours(1));
  std::optional<boost::system::error_code> end;
  Spawn(context_, wait(&timer), [&end](boost::system::error_code error) { end = error; });
  RunReady(context_);
  EXPECT_FALSE(end.has_value());
  timer.cancel();
  RunReady(context_);
  EXPECT_EQ(end, boost::asio::error::operation_aborted);
}

}  // namespace
}  // namespace sallyport::proxy
