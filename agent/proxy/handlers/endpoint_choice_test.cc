#include "agent/proxy/handlers/endpoint_choice.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sallyport::proxy {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;

const SteadyTime kNow = SteadyTime{} + std::chrono::hours(1);

TEST(EndpointHealthTest, IsLeftOutAfterFailuresInARow) {
  EndpointHealth health;
  EXPECT_FALSE(health.Failed(kNow));
  EXPECT_FALSE(health.Failed(kNow));
  health.Answered();
  EXPECT_FALSE(health.Failed(kNow));
  EXPECT_FALSE(health.Failed(kNow));
  EXPECT_FALSE(health.ejected(kNow));
  EXPECT_TRUE(health.Failed(kNow));
  EXPECT_TRUE(health.ejected(kNow + seconds(1) - milliseconds(1)));
  EXPECT_FALSE(health.ejected(kNow + seconds(1)));
}

TEST(EndpointHealthTest, ForAGrowingTime) {
  EndpointHealth health;
  for (int i = 0; i < EndpointHealth::kFailures - 1; ++i) health.Failed(kNow);
  SteadyTime now = kNow;
  for (const int expected : {1, 2, 4, 8, 16, 32, 60, 60}) {
    EXPECT_TRUE(health.Failed(now));
    EXPECT_EQ(health.ejected_until() - now, seconds(expected));
    now = health.ejected_until();
  }
  health.Answered();
  EXPECT_FALSE(health.ejected(now));
  EXPECT_FALSE(health.Failed(now));
}

TEST(OrderToTryTest, TheFewestCallsFirst) {
  EXPECT_THAT(OrderToTry({{5}, {1}, {3}}, 0, kNow), ElementsAre(1, 2, 0));
  EXPECT_THAT(OrderToTry({}, 7, kNow), ElementsAre());
}

TEST(OrderToTryTest, EqualsTakeTurns) {
  EXPECT_THAT(OrderToTry({{1}, {1}, {1}}, 0, kNow), ElementsAre(0, 1, 2));
  EXPECT_THAT(OrderToTry({{1}, {1}, {1}}, 4, kNow), ElementsAre(1, 2, 0));
}

TEST(OrderToTryTest, WhoIsLeftOutComesLast) {
  const SteadyTime soon = kNow + seconds(1);
  const SteadyTime later = kNow + seconds(2);
  EXPECT_THAT(OrderToTry({{0, soon}, {9}, {0, kNow}}, 0, kNow), ElementsAre(2, 1, 0));
  EXPECT_THAT(OrderToTry({{0, later}, {9, soon}}, 0, kNow), ElementsAre(1, 0));
}

TEST(OrderToTryTest, WhoWasTriedComesAfterThemAll) {
  EXPECT_THAT(OrderToTry({{0, {}, true}, {9, kNow + seconds(1)}, {5}}, 0, kNow),
              ElementsAre(2, 1, 0));
}

}  // namespace
}  // namespace sallyport::proxy
