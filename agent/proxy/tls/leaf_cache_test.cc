#include "agent/proxy/tls/leaf_cache.h"

#include <gtest/gtest.h>

#include "agent/proxy/tls/testing/certificates.h"

namespace sallyport::proxy {
namespace {

constexpr time_t kStart = 1800000000;
constexpr time_t kHour = 60 * 60;

class LeafCacheTest : public testing::Test {
 protected:
  void Create(time_t ca_not_after) {
    const Identity root =
        MakeSelfSigned({.common_name = "CA", .is_ca = true, .not_after = ca_not_after});
    cache_ = LeafCache::Create(
                 CertificateAuthority::Create(root.CertificateDer(), root.KeyDer()).value(),
                 [this] { return now_; })
                 .value();
  }
  // Two of one certificate are the same object.
  bssl::UniquePtr<CRYPTO_BUFFER> Get(const std::string& host) {
    return cache_->Get(Host::Parse(host).value()).value();
  }

  time_t now_ = kStart;
  std::unique_ptr<LeafCache> cache_;
};

TEST_F(LeafCacheTest, MintsAgainInTheLastHour) {
  Create(kFarFuture);
  const auto first = Get("good.test");
  EXPECT_EQ(Get("good.test"), first);
  now_ = kStart + 22 * kHour - 1;
  EXPECT_EQ(Get("good.test"), first);
  now_ = kStart + 22 * kHour;
  const auto second = Get("good.test");
  EXPECT_NE(second, first);
  EXPECT_EQ(Get("good.test"), second);
}

TEST_F(LeafCacheTest, MintsAgainIfTheClockJumpsBack) {
  Create(kFarFuture);
  const auto first = Get("good.test");
  now_ = kStart - 2 * kHour;
  EXPECT_NE(Get("good.test"), first);
}

TEST_F(LeafCacheTest, KeepsALeafThatEndsWithTheCa) {
  Create(kStart + kHour / 2);
  EXPECT_EQ(Get("good.test"), Get("good.test"));
  now_ = kStart + kHour / 2;
  EXPECT_EQ(cache_->Get(Host::Parse("good.test").value()).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(LeafCacheTest, IsBounded) {
  Create(kFarFuture);
  const auto first = Get("host0.test");
  for (size_t i = 0; i <= kMaxLeaves; ++i) Get("host" + std::to_string(i) + ".test");
  EXPECT_EQ(cache_->size(), kMaxLeaves);
  EXPECT_NE(Get("host0.test"), first);
}

}  // namespace
}  // namespace sallyport::proxy
