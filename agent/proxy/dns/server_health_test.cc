#include "agent/proxy/dns/server_health.h"

#include <gtest/gtest.h>

#include <vector>

namespace sallyport::proxy {
namespace {

using std::chrono::milliseconds;
using Order = std::vector<size_t>;

const SteadyTime kNow = SteadyTime() + std::chrono::hours(1);

TEST(ServerHealthTest, KeepsTheOperatorsOrder) {
  EXPECT_EQ(ServerHealth(3).Order(kNow), (Order{0, 1, 2}));
  EXPECT_EQ(ServerHealth(0).Order(kNow), Order());
}

TEST(ServerHealthTest, SilentServersAreAskedLastForAWhile) {
  ServerHealth health(3);
  health.Silent(0, kNow);
  EXPECT_EQ(health.Order(kNow), (Order{0, 1, 2}));
  health.Silent(0, kNow);
  EXPECT_EQ(health.Order(kNow), (Order{1, 2, 0}));
  EXPECT_EQ(health.Order(kNow + ServerHealth::kSkipTime - milliseconds(1)), (Order{1, 2, 0}));
  EXPECT_EQ(health.Order(kNow + ServerHealth::kSkipTime), (Order{0, 1, 2}));
  // Its next silence is enough to skip it again.
  const SteadyTime later = kNow + ServerHealth::kSkipTime;
  health.Silent(0, later);
  EXPECT_EQ(health.Order(later), (Order{1, 2, 0}));
}

TEST(ServerHealthTest, AnAnswerEndsIt) {
  ServerHealth health(2);
  health.Unreachable(0, kNow);
  EXPECT_EQ(health.Order(kNow), (Order{1, 0}));
  health.Answered(0);
  EXPECT_EQ(health.Order(kNow), (Order{0, 1}));
  health.Silent(0, kNow);
  health.Answered(0);
  health.Silent(0, kNow);
  EXPECT_EQ(health.Order(kNow), (Order{0, 1}));
}

TEST(ServerHealthTest, WithAllDeadTheOrderIsTheOperators) {
  ServerHealth health(2);
  health.Unreachable(1, kNow);
  health.Unreachable(0, kNow);
  EXPECT_EQ(health.Order(kNow), (Order{0, 1}));
}

}  // namespace
}  // namespace sallyport::proxy
