#include "agent/proxy/handlers/lease_table.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

namespace sallyport::proxy {
namespace {

using std::chrono::milliseconds;

class LeaseTableTest : public testing::Test {
 protected:
  static LeaseScope Scope(const std::string& handler = "h") {
    LeaseScope scope;
    scope.handler = handler;
    scope.registration = 7;
    scope.lease_epoch = 1;
    scope.rule = "class outbound";
    scope.host = *Host::Parse("api.test");
    scope.port = 80;
    return scope;
  }
  static std::shared_ptr<const LeasedAnswer> Answer(const std::string& token,
                                                    size_t body_bytes = 0) {
    LeasedResponse response;
    response.head.status = 200;
    response.head.headers.Add("token", token);
    response.body = std::string(body_bytes, 'x');
    return std::make_shared<const LeasedAnswer>(std::move(response));
  }
  static LeaseTerms Terms(milliseconds ttl = milliseconds(1000)) {
    LeaseTerms terms;
    terms.ttl = ttl;
    return terms;
  }
  void Grant(LeaseTerms terms, const std::string& token, const std::string& target = "/a",
             const LeaseScope& scope = Scope()) {
    table_.Grant(scope, dialled_, std::move(terms), "GET", target, Answer(token), now_);
  }
  // The token of the decision that is found, or "".
  std::string Use(const std::string& target = "/a", const std::string& method = "GET",
                  const LeaseScope& scope = Scope()) {
    const auto found = table_.Use(scope, method, target, now_);
    if (found == nullptr) return "";
    return *std::get<LeasedResponse>(found->answer()).head.headers.Find("token");
  }

  LeaseTable table_;
  const IpAddress dialled_ = *IpAddress::Parse("203.0.113.7");
  SteadyTime now_ = SteadyTime() + std::chrono::hours(1);
};

TEST_F(LeaseTableTest, HoldsForItsTime) {
  EXPECT_TRUE(table_.empty());
  Grant(Terms(), "t");
  EXPECT_FALSE(table_.empty());
  EXPECT_EQ(Use(), "t");
  now_ += milliseconds(999);
  EXPECT_EQ(Use(), "t");
  now_ += milliseconds(1);
  EXPECT_EQ(Use(), "");
}

TEST_F(LeaseTableTest, HoldsForItsMethodAndPath) {
  Grant(Terms(), "t", "/a?q=1");
  EXPECT_EQ(Use("/a"), "t");
  EXPECT_EQ(Use("/a?other"), "t");
  EXPECT_EQ(Use("/a/b"), "");
  EXPECT_EQ(Use("/a/"), "");
  EXPECT_EQ(Use("/a", "HEAD"), "");
  EXPECT_EQ(Use("/a", "get"), "");
}

TEST_F(LeaseTableTest, MethodsAndPrefixAsToldAndNotAsAsked) {
  LeaseTerms terms = Terms();
  terms.methods = {"HEAD", "POST"};
  terms.path_prefix = "/b";
  Grant(terms, "t");
  EXPECT_EQ(Use("/a"), "");
  EXPECT_EQ(Use("/b"), "");
  EXPECT_EQ(Use("/b", "HEAD"), "t");
  EXPECT_EQ(Use("/b/c?d", "POST"), "t");
  EXPECT_EQ(Use("/bc", "POST"), "");
  EXPECT_EQ(Use("/b/../c", "POST"), "");
  EXPECT_EQ(Use("/b/%2e%2e/c", "POST"), "");
}

TEST_F(LeaseTableTest, NothingIsKeptOfAPathThatIsNotPlain) {
  Grant(Terms(), "t", "/a/../b");
  EXPECT_TRUE(table_.empty());
  EXPECT_EQ(Use("/a/../b"), "");
}

TEST_F(LeaseTableTest, EverythingInTheScopeCounts) {
  Grant(Terms(), "t");
  std::vector<LeaseScope> others(8, Scope());
  others[0].handler = "other";
  others[1].registration = 8;
  others[2].lease_epoch = 2;
  others[3].rule = "instance api.test";
  others[4].params = "p";
  others[5].tls = true;
  others[6].host = *Host::Parse("b.test");
  others[7].port = 8080;
  for (const LeaseScope& other : others) EXPECT_EQ(Use("/a", "GET", other), "");
  EXPECT_EQ(Use(), "t");
}

TEST_F(LeaseTableTest, HoldsForSoManyUses) {
  LeaseTerms terms = Terms();
  terms.max_uses = 2;
  Grant(terms, "t");
  EXPECT_EQ(Use() + Use() + Use(), "tt");
  EXPECT_TRUE(table_.empty());
}

TEST_F(LeaseTableTest, UsesCountOverAllThreads) {
  LeaseTerms terms = Terms();
  terms.max_uses = 1000;
  Grant(terms, "t");
  std::atomic<int> used = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 500; ++n) used += table_.Use(Scope(), "GET", "/a", now_) != nullptr;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(used, 1000);
}

TEST_F(LeaseTableTest, TheLatestReplacesTheSameAndComesFirst) {
  Grant(Terms(), "1");
  Grant(Terms(), "2");
  EXPECT_EQ(Use(), "2");
  LeaseTerms wide = Terms();
  wide.path_prefix = "/";
  Grant(wide, "3");
  EXPECT_EQ(Use(), "3");
  EXPECT_EQ(Use("/other"), "3");
}

TEST_F(LeaseTableTest, RevokedByHandler) {
  Grant(Terms(), "1");
  Grant(Terms(), "2", "/a", Scope("other"));
  table_.RevokeOf("h");
  EXPECT_EQ(Use(), "");
  EXPECT_EQ(Use("/a", "GET", Scope("other")), "2");
  table_.Clear();
  EXPECT_TRUE(table_.empty());
}

TEST_F(LeaseTableTest, DropsWhatHoldsNoMore) {
  Grant(Terms(), "1");
  Grant(Terms(), "2", "/a", Scope("other"));
  table_.DropUnless([&](const LeaseScope& scope, const IpAddress& dialled) {
    EXPECT_EQ(dialled, dialled_);
    return scope.handler == "other";
  });
  EXPECT_EQ(Use(), "");
  EXPECT_EQ(Use("/a", "GET", Scope("other")), "2");
}

TEST_F(LeaseTableTest, ManyMakeRoom) {
  Grant(Terms(milliseconds(10)), "first to end", "/first");
  for (size_t i = 0; i < LeaseTable::kMaxLeases; ++i) Grant(Terms(), "t", "/" + std::to_string(i));
  EXPECT_EQ(Use("/first"), "");
  size_t held = 0;
  for (size_t i = 0; i < LeaseTable::kMaxLeases; ++i) held += Use("/" + std::to_string(i)) == "t";
  EXPECT_EQ(held, LeaseTable::kMaxLeases);
}

TEST_F(LeaseTableTest, LongOnesMakeRoom) {
  constexpr size_t kBytes = LeaseTable::kMaxResponseBytes;
  for (size_t i = 0; i < 2 * LeaseTable::kMaxBytes / kBytes; ++i) {
    table_.Grant(Scope(), dialled_, Terms(milliseconds(1000 + i)), "GET", "/" + std::to_string(i),
                 Answer("t", kBytes), now_);
  }
  size_t held = 0;
  for (size_t i = 0; i < 2 * LeaseTable::kMaxBytes / kBytes; ++i)
    held += Use("/" + std::to_string(i)) == "t";
  EXPECT_EQ(held, LeaseTable::kMaxBytes / (kBytes + 400));
}

TEST_F(LeaseTableTest, IsSweptByOneUntilItIsEmpty) {
  Grant(Terms(), "t");
  EXPECT_TRUE(table_.TakeSweeping());
  EXPECT_FALSE(table_.TakeSweeping());
  EXPECT_TRUE(table_.Sweep(now_));
  now_ += milliseconds(1000);
  EXPECT_FALSE(table_.Sweep(now_));
  EXPECT_TRUE(table_.empty());
  EXPECT_TRUE(table_.TakeSweeping());
}

}  // namespace
}  // namespace sallyport::proxy
