#include "agent/proxy/overload.h"

#include <vector>

#include "gtest/gtest.h"

namespace sallyport::proxy {
namespace {

constexpr uint64_t kMebibyte = 1 << 20;

struct SheddingCase {
  uint64_t used;
  Shedding shedding;
};

class SheddingTest : public testing::TestWithParam<SheddingCase> {};

TEST_P(SheddingTest, FollowsTheMemory) {
  Overload overload;
  overload.SetMemory(GetParam().used * kMebibyte, 1'000 * kMebibyte);
  EXPECT_EQ(overload.shedding(), GetParam().shedding);
  overload.SetMemory(0, 1'000 * kMebibyte);
  EXPECT_EQ(overload.shedding(), Shedding::kNothing);
}

INSTANTIATE_TEST_SUITE_P(All, SheddingTest,
                         testing::Values(SheddingCase{0, Shedding::kNothing},
                                         SheddingCase{919, Shedding::kNothing},
                                         SheddingCase{920, Shedding::kKeepAlive},
                                         SheddingCase{949, Shedding::kKeepAlive},
                                         SheddingCase{950, Shedding::kRequests},
                                         SheddingCase{979, Shedding::kRequests},
                                         SheddingCase{980, Shedding::kConnections},
                                         SheddingCase{5'000, Shedding::kConnections}));

TEST(OverloadTest, WithoutALimitNothingIsShed) {
  Overload overload;
  overload.SetMemory(1'000 * kMebibyte, 0);
  EXPECT_EQ(overload.shedding(), Shedding::kNothing);
  EXPECT_TRUE(overload.HoldConnection());
  EXPECT_FALSE(overload.IsReserved(1'000'000));
}

TEST(OverloadTest, KeepsDescriptorsForTheAgentAndForOrigins) {
  Overload overload;
  overload.SetDescriptorLimit(164);
  EXPECT_FALSE(overload.IsReserved(99));
  EXPECT_TRUE(overload.IsReserved(100));
  EXPECT_EQ(overload.max_connections(), 60);
  overload.SetDescriptorLimit(1'048'576);
  EXPECT_EQ(overload.max_connections(), (1'048'576 - 4'096) * 3 / 5);
}

TEST(OverloadTest, TakesConnectionsAsLongAsTheyFit) {
  Overload overload;
  overload.SetDescriptorLimit(68);
  std::vector<Gauge::Token> held;
  held.push_back(overload.HoldConnection());
  held.push_back(overload.HoldConnection());
  EXPECT_TRUE(held.back());
  EXPECT_FALSE(overload.HoldConnection());
  held.pop_back();
  EXPECT_TRUE(overload.HoldConnection());
}

TEST(OverloadTest, TooFewDescriptorsTakeNoConnection) {
  Overload overload;
  overload.SetDescriptorLimit(32);
  EXPECT_FALSE(overload.HoldConnection());
}

}  // namespace
}  // namespace sallyport::proxy
