#include "agent/back_off.h"

#include <gtest/gtest.h>

#include <array>

namespace sallyport::agent {
namespace {

using std::chrono::milliseconds;

TEST(BackOffTest, PausesDoubleUpToTheLongest) {
  BackOff back_off(milliseconds(100), milliseconds(1'000));
  for (const int longest : {100, 200, 400, 800, 1'000, 1'000}) {
    const milliseconds pause = back_off.Next();
    EXPECT_GE(pause, milliseconds(longest / 2));
    EXPECT_LE(pause, milliseconds(longest));
  }
  back_off.Reset();
  EXPECT_LE(back_off.Next(), milliseconds(100));
  back_off.Lengthen();
  EXPECT_GE(back_off.Next(), milliseconds(500));
}

// Of a thousand agents that lost the control plane together, no tenth of the time in which they
// come back gets twice its share.
TEST(BackOffTest, AgentsOfAFleetDoNotComeAllAtOnce) {
  std::array<int, 10> tenths = {};
  for (int agent = 0; agent < 1'000; ++agent) {
    BackOff back_off(milliseconds(10'000), milliseconds(10'000));
    ++tenths.at(std::min<int64_t>((back_off.Next().count() - 5'000) / 500, 9));
  }
  for (const int agents : tenths) {
    EXPECT_GT(agents, 40);
    EXPECT_LT(agents, 200);
  }
}

}  // namespace
}  // namespace sallyport::agent
