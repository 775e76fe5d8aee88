#include "common/base/log.h"

#include <gtest/gtest.h>

namespace sallyport {
namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;

constexpr system_clock::time_point At(int64_t ms) {
  return system_clock::time_point(milliseconds(ms));
}

TEST(LogTest, OneLineWithTimeLevelAndProgram) {
  EXPECT_EQ(FormatLogLine(LogLevel::kWarning, At(1'714'564'800'042), "sallyportd", "store is slow"),
            "2024-05-01T12:00:00.042Z warning sallyportd: store is slow\n");
}

TEST(LogTest, TimesBeforeTheEpochAreStillTimes) {
  EXPECT_EQ(FormatLogLine(LogLevel::kInfo, At(-1), "p", "t"),
            "1969-12-31T23:59:59.999Z info p: t\n");
}

TEST(LogTest, ControlBytesAndHighBytesNeverReachATerminal) {
  EXPECT_EQ(FormatLogLine(LogLevel::kInfo, At(0), "p", "a\nb\x1b[31m\xff\x7f\\"),
            "1970-01-01T00:00:00.000Z info p: a\\nb\\x1b[31m\\xff\\x7f\\\\\n");
}

TEST(LogTest, LongTextIsCut) {
  const std::string line = FormatLogLine(LogLevel::kInfo, At(0), "p", std::string(1 << 20, 'a'));
  EXPECT_LT(line.size(), 4200u);
  EXPECT_TRUE(line.ends_with("aaa [cut]\n"));
}

TEST(LogTest, TakesBothKindsOfStringView) {
  EXPECT_EQ(StrCat(std::string_view("a"), absl::string_view("b"), std::string("c"), 1), "abc1");
}

TEST(LogTest, LevelsBelowTheMinimumAreDropped) {
  testing::internal::CaptureStderr();
  SetLogLevel(LogLevel::kWarning);
  LogInfo("quiet");
  LogError("loud");
  const std::string out = testing::internal::GetCapturedStderr();
  EXPECT_EQ(out.find("quiet"), std::string::npos);
  EXPECT_NE(out.find("error sallyport: loud\n"), std::string::npos);
}

}  // namespace
}  // namespace sallyport
