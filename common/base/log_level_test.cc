#include "common/base/log_level.h"

#include <gtest/gtest.h>

namespace sallyport {
namespace {

TEST(LogLevelSignals, OneStepAtATimeAndNoFurther) {
  LogLevelSignals level;
  EXPECT_EQ(level.Take(SIGUSR1), LogLevel::kDebug);
  EXPECT_EQ(level.Take(SIGUSR1), LogLevel::kDebug);
  EXPECT_EQ(level.Take(SIGUSR2), LogLevel::kInfo);
  EXPECT_EQ(level.Take(SIGUSR2), LogLevel::kWarning);
  EXPECT_EQ(level.Take(SIGUSR2), LogLevel::kError);
  EXPECT_EQ(level.Take(SIGUSR2), LogLevel::kError);
  EXPECT_EQ(level.Take(SIGTERM), std::nullopt);
}

TEST(LogLevel, HasAName) {
  for (const LogLevel level :
       {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError})
    EXPECT_EQ(ParseLogLevel(LogLevelName(level)), level);
  EXPECT_EQ(ParseLogLevel("loud"), std::nullopt);
}

}  // namespace
}  // namespace sallyport
