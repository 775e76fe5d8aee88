#include "agent/proxy/limits.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sallyport::proxy {
namespace {

using testing::HasSubstr;

std::string ErrorOf(std::string_view text) {
  return std::string(ParseLimit(text).status().message());
}

TEST(LimitsTest, EveryDefaultMayBeSet) {
  for (const LimitInfo& info : AllLimits()) {
    ContainerLimits limits;
    EXPECT_TRUE(limits.Set(info.name, info.default_value).ok()) << info.name;
    EXPECT_EQ(limits[info.limit], info.default_value) << info.name;
  }
}

TEST(LimitsTest, SetsOneAlone) {
  ContainerLimits limits;
  ASSERT_TRUE(limits.Set("head_timeout_ms", 250).ok());
  EXPECT_EQ(limits.Time(Limit::kHeadTimeoutMs), std::chrono::milliseconds(250));
  EXPECT_EQ(limits[Limit::kBodyTimeoutMs], ContainerLimits()[Limit::kBodyTimeoutMs]);
}

TEST(LimitsTest, ReadsNameAndValue) {
  const auto limit = ParseLimit("connections=17");
  ASSERT_TRUE(limit.ok());
  EXPECT_EQ(*limit, std::pair(std::string("connections"), int64_t{17}));
}

TEST(LimitsTest, AnUnknownNameIsAnsweredWithAllNames) {
  const std::string error = ErrorOf("connection=1");
  EXPECT_THAT(error, HasSubstr("\"connection\""));
  for (const LimitInfo& info : AllLimits()) EXPECT_THAT(error, HasSubstr(std::string(info.name)));
}

TEST(LimitsTest, WhatIsNoNumberIsRefused) {
  for (const char* bad :
       {"connections", "connections=", "connections=-1", "connections=+1", "connections=1 ",
        "connections=0x10", "connections=1e3", "connections=99999999999999999999"}) {
    EXPECT_THAT(ErrorOf(bad), HasSubstr("NAME=VALUE")) << bad;
  }
}

TEST(LimitsTest, WhatIsOutOfRangeIsAnsweredWithTheRange) {
  EXPECT_THAT(ErrorOf("connections=0"), HasSubstr("between 1 and 1000000"));
  EXPECT_THAT(ErrorOf("header_count=9"), HasSubstr("between 10 and 10000"));
  ContainerLimits limits;
  EXPECT_FALSE(limits.Set("connections", -1).ok());
}

}  // namespace
}  // namespace sallyport::proxy
