#include "agent/proxy/identity/token_cache.h"

#include <gtest/gtest.h>

namespace sallyport::proxy {
namespace {

class TokenCacheTest : public testing::Test {
 protected:
  static std::shared_ptr<const TokenSigner> Signer(char seed) {
    return *TokenSigner::Create(std::string(32, seed), std::string(1, seed), "host-7");
  }
  static std::shared_ptr<const HandlerSpec> Handler(const std::string& name,
                                                    const std::string& audience = "a") {
    HandlerSpec spec;
    spec.name = name;
    spec.identity_token = IdentityTokenSpec{audience, std::chrono::seconds(100)};
    return std::make_shared<const HandlerSpec>(std::move(spec));
  }

  time_t now_ = 1'800'000'000;
  TokenCache cache_{"web-1", [this] { return now_; }};
  const std::shared_ptr<const TokenSigner> signer_ = Signer('a');
  const std::shared_ptr<const HandlerSpec> handler_ = Handler("keys");
};

TEST_F(TokenCacheTest, KeepsATokenForHalfOfItsTime) {
  const std::string first = cache_.Get(signer_, handler_, "agents");
  now_ += 50;
  EXPECT_EQ(cache_.Get(signer_, handler_, "agents"), first);
  now_ += 1;
  const std::string second = cache_.Get(signer_, handler_, "agents");
  EXPECT_NE(second, first);
  EXPECT_EQ(cache_.Get(signer_, handler_, "agents"), second);
}

TEST_F(TokenCacheTest, AClockThatWasPutBackMakesItSignAnew) {
  const std::string first = cache_.Get(signer_, handler_, "agents");
  now_ -= 3600;
  EXPECT_NE(cache_.Get(signer_, handler_, "agents"), first);
}

TEST_F(TokenCacheTest, WhatATokenSaysIsOfThisMoment) {
  const std::string first = cache_.Get(signer_, handler_, "agents");
  EXPECT_NE(cache_.Get(signer_, handler_, "others"), first) << "the container's class has changed";
  EXPECT_NE(cache_.Get(Signer('b'), handler_, "agents"), first) << "the key was replaced";
  EXPECT_NE(cache_.Get(signer_, Handler("keys", "b"), "agents"), first) << "registered anew";
  EXPECT_NE(cache_.Get(signer_, Handler("other"), "agents"), first);
  EXPECT_EQ(cache_.Get(signer_, handler_, "agents"), first) << "Ed25519 is deterministic";
}

TEST_F(TokenCacheTest, ForgetsHandlersThatAreRegisteredOtherwise) {
  const auto other = Handler("other");
  cache_.Get(signer_, handler_, "agents");
  const std::string kept = cache_.Get(signer_, other, "agents");
  int asked = 0;
  cache_.OnPolicyChange([&](const std::string& name) {
    ++asked;
    return name == "other" ? other : nullptr;
  });
  EXPECT_EQ(asked, 2);
  now_ += 10;
  EXPECT_EQ(cache_.Get(signer_, other, "agents"), kept);
  asked = 0;
  cache_.OnPolicyChange([&](const std::string&) {
    ++asked;
    return other;
  });
  EXPECT_EQ(asked, 1) << "the first was let go of";
}

}  // namespace
}  // namespace sallyport::proxy
