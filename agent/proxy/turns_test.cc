#include "agent/proxy/turns.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>

#include "agent/proxy/testing/run.h"

namespace sallyport::proxy {
namespace {

class TurnsTest : public testing::Test {
 protected:
  std::shared_ptr<TurnShare> NewShare() { return TurnShare::Create(&passes_); }

  static Task<void> TakeOne(std::shared_ptr<TurnShare> share, Turn turn, char name,
                            std::string* log) {
    if (!share->TryTake(turn)) co_await share->Wait(turn);
    log->push_back(name);
  }
  void TakeMany(const std::shared_ptr<TurnShare>& share, Turn turn, char name, int count) {
    for (int i = 0; i < count; ++i) Spawn(context_, TakeOne(share, turn, name, &log_));
  }

  boost::asio::io_context context_{1};
  TurnShare::Passes passes_{context_};
  std::string log_;
};

TEST_F(TurnsTest, EveryoneHasATurn) {
  TakeMany(NewShare(), Turn::kRead, 'a', 1000);
  RunReady(context_);
  EXPECT_EQ(log_, std::string(1000, 'a'));
}

TEST_F(TurnsTest, OneIsNotBehindAllOfAnother) {
  TakeMany(NewShare(), Turn::kRead, 'a', 1000);
  TakeMany(NewShare(), Turn::kRead, 'b', 1);
  RunReady(context_);
  EXPECT_EQ(log_.find('b'), 16U);
  EXPECT_EQ(log_.size(), 1001U);
}

TEST_F(TurnsTest, TwoThatWantMuchAlternate) {
  TakeMany(NewShare(), Turn::kRead, 'a', 64);
  TakeMany(NewShare(), Turn::kRead, 'b', 64);
  RunReady(context_);
  const std::string pass = std::string(16, 'a') + std::string(16, 'b');
  EXPECT_EQ(log_, pass + pass + pass + pass);
}

TEST_F(TurnsTest, OneSignatureAPass) {
  TakeMany(NewShare(), Turn::kSignature, 'a', 3);
  TakeMany(NewShare(), Turn::kSignature, 'b', 3);
  RunReady(context_);
  EXPECT_EQ(log_, "ababab");
}

TEST_F(TurnsTest, ASmallTurnDoesNotPassALargeOneOfTheSameContainer) {
  const std::shared_ptr<TurnShare> share = NewShare();
  TakeMany(share, Turn::kRead, 'r', 1);
  TakeMany(share, Turn::kSignature, 's', 1);
  TakeMany(share, Turn::kRead, 'r', 1);
  RunReady(context_);
  EXPECT_EQ(log_, "rsr");
}

// What becomes ready while others wait is served before all of these have been.
TEST_F(TurnsTest, WhatBecomesReadyLaterIsNotBehindThoseWhoWait) {
  TakeMany(NewShare(), Turn::kRead, 'a', 1000);
  while (std::count(log_.begin(), log_.end(), 'a') < 100) ASSERT_GT(context_.poll_one(), 0U);
  const size_t before = log_.size();
  TakeMany(NewShare(), Turn::kRead, 'b', 1);
  RunReady(context_);
  EXPECT_LE(log_.find('b'), before + 16);
  EXPECT_EQ(log_.size(), 1001U);
}

TEST_F(TurnsTest, WhoWaitsMayBeGivenUpWithTheLoop) {
  TakeMany(NewShare(), Turn::kRead, 'a', 100);
  while (log_.empty()) ASSERT_GT(context_.poll_one(), 0U);
}

}  // namespace
}  // namespace sallyport::proxy
