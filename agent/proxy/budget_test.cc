#include "agent/proxy/budget.h"

#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace sallyport::proxy {
namespace {

using std::chrono::milliseconds;
using Time = RateLimiter::Time;

constexpr Time kStart{std::chrono::hours(1)};

int TakenAt(RateLimiter& bucket, Time now) {
  int taken = 0;
  while (bucket.Take(now).has_value()) ++taken;
  return taken;
}

TEST(RateLimiterTest, GivesABurstAndThenTheRate) {
  RateLimiter bucket(10, 10);
  EXPECT_EQ(TakenAt(bucket, kStart), 10);
  EXPECT_EQ(TakenAt(bucket, kStart + milliseconds(99)), 0);
  EXPECT_EQ(TakenAt(bucket, kStart + milliseconds(100)), 1);
  EXPECT_EQ(TakenAt(bucket, kStart + milliseconds(500)), 4);
}

TEST(RateLimiterTest, IsNeverFullerThanFull) {
  RateLimiter bucket(10, 3);
  EXPECT_EQ(TakenAt(bucket, kStart), 3);
  EXPECT_EQ(TakenAt(bucket, kStart + std::chrono::hours(1)), 3);
}

TEST(RateLimiterTest, SaysHowLongToWait) {
  RateLimiter bucket(10, 1);
  EXPECT_EQ(bucket.Wait(kStart), milliseconds(0));
  ASSERT_TRUE(bucket.Take(kStart).has_value());
  EXPECT_EQ(bucket.Wait(kStart + milliseconds(30)), milliseconds(70));
}

TEST(RateLimiterTest, ThoseThatWaitStandInLine) {
  RateLimiter bucket(10, 1);
  EXPECT_EQ(bucket.Take(kStart, milliseconds(250)), milliseconds(0));
  EXPECT_EQ(bucket.Take(kStart, milliseconds(250)), milliseconds(100));
  EXPECT_EQ(bucket.Take(kStart, milliseconds(250)), milliseconds(200));
  EXPECT_EQ(bucket.Take(kStart, milliseconds(250)), std::nullopt);
  EXPECT_EQ(bucket.Take(kStart + milliseconds(50), milliseconds(250)), milliseconds(250));
}

ContainerLimits With(std::string_view name, int64_t value) {
  ContainerLimits limits;
  EXPECT_TRUE(limits.Set(name, value).ok());
  return limits;
}

TEST(ContainerBudgetTest, HoldsUpToTheLimit) {
  ContainerBudget budget(With("connections", 2));
  Gauge::Token first = budget.Hold(Limit::kConnections);
  {
    const Gauge::Token second = budget.Hold(Limit::kConnections);
    EXPECT_TRUE(second);
    EXPECT_FALSE(budget.Hold(Limit::kConnections));
    EXPECT_EQ(budget.held(Limit::kConnections), 2);
  }
  EXPECT_TRUE(budget.Hold(Limit::kConnections));
  first.Release();
  EXPECT_EQ(budget.held(Limit::kConnections), 0);
}

TEST(ContainerBudgetTest, LimitsDoNotTouchEachOther) {
  ContainerBudget budget(With("websockets", 1));
  const Gauge::Token one = budget.Hold(Limit::kWebSockets);
  EXPECT_FALSE(budget.Hold(Limit::kWebSockets));
  EXPECT_TRUE(budget.Hold(Limit::kRequests));
}

TEST(ContainerBudgetTest, AMovedTokenHoldsOnce) {
  ContainerBudget budget((ContainerLimits()));
  Gauge::Token token = budget.Hold(Limit::kMemoryBytes, 100);
  Gauge::Token moved = std::move(token);
  EXPECT_EQ(budget.held(Limit::kMemoryBytes), 100);
  moved = budget.Hold(Limit::kMemoryBytes, 30);
  EXPECT_EQ(budget.held(Limit::kMemoryBytes), 30);
}

TEST(ContainerBudgetTest, CountsWhatWasExceeded) {
  ContainerBudget budget((ContainerLimits()));
  budget.CountExceeded(Limit::kDials);
  budget.CountExceeded(Limit::kDials, 4);
  EXPECT_EQ(budget.exceeded(Limit::kDials), 5u);
  EXPECT_EQ(budget.exceeded(Limit::kRequests), 0u);
}

TEST(ContainerBudgetTest, SuppressedRecordsAreSaidOnce) {
  ContainerBudget budget((ContainerLimits()));
  budget.CountSuppressed();
  budget.CountSuppressed();
  EXPECT_EQ(budget.TakeSuppressed(), 2u);
  EXPECT_EQ(budget.TakeSuppressed(), 0u);
}

TEST(ContainerBudgetTest, HoldsOverAllThreads) {
  constexpr int kThreads = 4;
  constexpr int kEach = 1'000;
  ContainerBudget budget(With("requests", kThreads * kEach / 2));
  std::vector<std::vector<Gauge::Token>> held(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&budget, &mine = held[i]] {
      for (int j = 0; j < kEach; ++j) {
        Gauge::Token token = budget.Hold(Limit::kRequests);
        if (token) mine.push_back(std::move(token));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  size_t total = 0;
  for (const auto& mine : held) total += mine.size();
  // One that finds the limit reached is, for a moment, counted itself.
  EXPECT_LE(total, static_cast<size_t>(kThreads * kEach / 2));
  EXPECT_GE(total, static_cast<size_t>(kThreads * kEach / 2 - kThreads));
  held.clear();
  EXPECT_EQ(budget.held(Limit::kRequests), 0);
}

}  // namespace
}  // namespace sallyport::proxy
