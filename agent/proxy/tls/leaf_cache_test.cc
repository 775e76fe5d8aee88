#include "agent/proxy/tls/leaf_cache.h"

#include <gtest/gtest.h>

#include <barrier>
#include <thread>
#include <vector>

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

TEST_F(LeafCacheTest, TM02_MintsAgainIfTheClockJumpsBack) {
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

TEST_F(LeafCacheTest, PX01_MintsNoNameTwiceForManyThreads) {
  Create(kFarFuture);
  constexpr size_t kThreads = 16, kNames = 200;
  std::vector<std::vector<bssl::UniquePtr<CRYPTO_BUFFER>>> got(kThreads);
  std::barrier start(kThreads);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      start.arrive_and_wait();
      for (size_t name = 0; name < kNames; ++name) {
        got[i].push_back(Get("n" + std::to_string(name) + ".test"));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 1; i < kThreads; ++i) EXPECT_TRUE(got[i] == got[0]);
}

TEST_F(LeafCacheTest, IsBounded) {
  Create(kFarFuture);
  const auto first = Get("host0.test");
  for (size_t i = 0; i <= kMaxLeaves; ++i) Get("host" + std::to_string(i) + ".test");
  EXPECT_EQ(cache_->size(), kMaxLeaves);
  EXPECT_NE(Get("host0.test"), first);
}

TEST_F(LeafCacheTest, TellsWhatItWouldMint) {
  Create(kFarFuture);
  const Host host = Host::Parse("good.test").value();
  EXPECT_FALSE(cache_->Keeps(host));
  Get("good.test");
  EXPECT_TRUE(cache_->Keeps(host));
  now_ = kStart + 23 * kHour;
  EXPECT_FALSE(cache_->Keeps(host));
}

}  // namespace
}  // namespace sallyport::proxy
