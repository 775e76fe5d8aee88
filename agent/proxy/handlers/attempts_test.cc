#include "agent/proxy/handlers/attempts.h"

#include "agent/proxy/handlers/not_processed.h"
#include "gtest/gtest.h"

namespace sallyport::proxy {
namespace {

const absl::Status kLost = absl::UnavailableError("lost");

HandlerSpec Retrying(int retries) {
  HandlerSpec spec;
  spec.retries = retries;
  return spec;
}

TEST(AttemptsTest, AreAsManyAsAskedFor) {
  AttemptsLeft none(Retrying(0));
  EXPECT_FALSE(none.Take(kLost, SteadyTime::max()));
  AttemptsLeft two(Retrying(2));
  EXPECT_TRUE(two.Take(kLost, SteadyTime::max()));
  EXPECT_TRUE(two.Take(absl::InternalError("broken"), SteadyTime::max()));
  EXPECT_FALSE(two.Take(kLost, SteadyTime::max()));
  EXPECT_FALSE(two.Take(kLost, SteadyTime::max()));
}

TEST(AttemptsTest, WhatWasNotLookedAtIsAskedOnceMore) {
  AttemptsLeft attempts(Retrying(0));
  EXPECT_TRUE(attempts.Take(NotProcessedError("going away"), SteadyTime::max()));
  EXPECT_FALSE(attempts.Take(NotProcessedError("going away"), SteadyTime::max()));
}

TEST(AttemptsTest, EndWithTheTime) {
  AttemptsLeft attempts(Retrying(5));
  EXPECT_FALSE(attempts.Take(kLost, std::chrono::steady_clock::now()));
}

}  // namespace
}  // namespace sallyport::proxy
