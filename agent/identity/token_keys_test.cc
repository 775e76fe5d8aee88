#include "agent/identity/token_keys.h"

#include <gtest/gtest.h>

#include <set>

#include "common/pki/token_key.h"

namespace sallyport::agent {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class TokenKeysTest : public testing::Test {
 protected:
  std::vector<std::string> Announced() const {
    std::vector<std::string> ids;
    const v1::IdentityKeys announced = keys_->announcement().keys;
    for (const auto& key : announced.keys()) ids.push_back(key.id());
    return ids;
  }
  // Of the announcement's key.
  TokenKeys::Time NotAfter(const std::string& id) const {
    const v1::IdentityKeys announced = keys_->announcement().keys;
    for (const auto& key : announced.keys()) {
      if (key.id() == id) return std::chrono::system_clock::from_time_t(key.not_after().seconds());
    }
    return {};
  }

  TokenKeys::Time now_ = std::chrono::system_clock::from_time_t(1'800'000'000);
  const std::unique_ptr<TokenKeys> keys_ = *TokenKeys::Create(hours(24), [this] { return now_; });
};

TEST_F(TokenKeysTest, KeysAreWhatTheySay) {
  const v1::IdentityKeys announced = keys_->announcement().keys;
  ASSERT_EQ(announced.keys_size(), 2);
  std::set<std::string> ids;
  for (const auto& key : announced.keys()) {
    EXPECT_EQ(key.public_key().size(), pki::kEd25519KeyBytes);
    EXPECT_EQ(key.id(), pki::KeyIdOf(key.public_key()));
    EXPECT_TRUE(ids.insert(key.id()).second);
  }
  EXPECT_EQ(keys_->signing().id, announced.keys(0).id());
  EXPECT_EQ(keys_->signing().seed.size(), pki::kEd25519KeyBytes);
}

TEST_F(TokenKeysTest, TheNextWasAnnouncedBeforeItSigns) {
  const std::vector<std::string> before = Announced();
  now_ += hours(24) - seconds(1);
  EXPECT_FALSE(keys_->Turn(1));
  now_ += seconds(1);
  EXPECT_TRUE(keys_->Turn(1));
  EXPECT_EQ(keys_->signing().id, before[1]);
  EXPECT_EQ(keys_->announcement_number(), 2u);
  const std::vector<std::string> after = Announced();
  ASSERT_EQ(after.size(), 3u);
  EXPECT_EQ(after[0], before[0]) << "tokens of the former still hold";
  EXPECT_EQ(after[1], before[1]);
  EXPECT_FALSE(keys_->Turn(2));
}

TEST_F(TokenKeysTest, AFormerKeyEndsWithItsTokens) {
  const std::string first = keys_->signing().id;
  now_ += hours(24);
  EXPECT_TRUE(keys_->Turn(1));
  EXPECT_GE(NotAfter(first), now_ + hours(1));
  now_ += hours(24);
  EXPECT_TRUE(keys_->Turn(2));
  const std::vector<std::string> announced = Announced();
  EXPECT_EQ(announced.size(), 3u);
  EXPECT_NE(announced[0], first);
}

TEST_F(TokenKeysTest, TheOldSignsOnUntilTheControlPlaneWasTold) {
  const std::string first = keys_->signing().id;
  now_ += hours(24);
  EXPECT_FALSE(keys_->Turn(0)) << "it was told of nothing";
  EXPECT_EQ(keys_->signing().id, first);
  now_ += hours(1);
  EXPECT_TRUE(keys_->Turn(1));
  EXPECT_NE(keys_->signing().id, first);
}

// Whatever the control plane is told, no token outlives what was said of its key.
TEST_F(TokenKeysTest, NoTokenOutlivesItsKey) {
  for (int hour = 0; hour < 24 * 14; ++hour) {
    now_ += hours(1);
    keys_->Turn(0);
    EXPECT_GE(NotAfter(keys_->signing().id), now_ + hours(1)) << hour;
    EXPECT_LE(Announced().size(), 4u);
  }
}

TEST_F(TokenKeysTest, AClockThatWasPutBackDelaysByOnePeriodAtMost) {
  now_ -= hours(24 * 365);
  EXPECT_FALSE(keys_->Turn(1));
  now_ += hours(24);
  EXPECT_TRUE(keys_->Turn(1));
}

TEST(TokenKeysStartTest, EachStartHasOthers) {
  EXPECT_NE((*TokenKeys::Create())->signing().seed, (*TokenKeys::Create())->signing().seed);
}

}  // namespace
}  // namespace sallyport::agent
