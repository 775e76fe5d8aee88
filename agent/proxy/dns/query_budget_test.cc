#include "agent/proxy/dns/query_budget.h"

#include <gtest/gtest.h>

#include <string>

namespace sallyport::proxy {
namespace {

using Upstream = QueryBudget::Upstream;

const SteadyTime kNow = SteadyTime() + std::chrono::hours(1);

Host Name(const std::string& text) { return *Host::Parse(text); }

// A name as a tunnel asks for it: `number` in 63 bytes and a dot.
std::string Smuggled(int number, const std::string& below) {
  const std::string digits = std::to_string(number);
  return "x" + std::string(62 - digits.size(), '0') + digits + "." + below;
}

TEST(LikelyRegisteredNameTest, IsTheEndOfAName) {
  struct {
    const char* name;
    const char* registered;
  } const cases[] = {
      {"test", "test"},
      {"evil.test", "evil.test"},
      {"a.evil.test", "evil.test"},
      {"a.b.c.evil.test", "evil.test"},
      {"shop.example.co.uk", "example.co.uk"},
      {"example.com.au", "example.com.au"},
      {"co.uk", "co.uk"},
      {"a.github.io", "github.io"},
      {"www.example.ac.jp", "example.ac.jp"},
      {"a.ab.io", "ab.io"},
      {"a.b.7qk.cc", "7qk.cc"},
      {"a.co.test", "co.test"},
      {"io", "io"},
      {"4.3.2.1.in-addr.arpa", "in-addr.arpa"},
  };
  for (const auto& test : cases) {
    EXPECT_EQ(LikelyRegisteredName(test.name), test.registered) << test.name;
  }
}

TEST(QueryBudgetTest, LimitsQueries) {
  QueryBudget budget({.queries_per_second = 10, .queries_at_once = 3}, kNow);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(budget.AdmitQuery(kNow));
  EXPECT_FALSE(budget.AdmitQuery(kNow));
  EXPECT_TRUE(budget.AdmitQuery(kNow + std::chrono::milliseconds(100)));
  EXPECT_FALSE(budget.AdmitQuery(kNow + std::chrono::milliseconds(100)));
}

TEST(QueryBudgetTest, LimitsQuestionsToTheResolvers) {
  QueryBudget budget({.upstream_per_second = 10, .upstream_at_once = 2}, kNow);
  EXPECT_EQ(budget.AdmitUpstream(Name("a.test"), kNow), Upstream::kAdmitted);
  EXPECT_EQ(budget.AdmitUpstream(Name("a.test"), kNow), Upstream::kAdmitted);
  EXPECT_EQ(budget.AdmitUpstream(Name("a.test"), kNow), Upstream::kOverloaded);
  EXPECT_EQ(budget.AdmitUpstream(Name("a.test"), kNow + std::chrono::seconds(1)),
            Upstream::kAdmitted);
}

TEST(QueryBudgetTest, DN04_ATunnelIsNoticedAndNobodyElseSuffers) {
  QueryBudget budget(DnsLimits(), kNow);
  ASSERT_EQ(budget.AdmitUpstream(Name("www.evil.test"), kNow), Upstream::kAdmitted);
  int smuggled = 0;
  while (budget.AdmitUpstream(Name(Smuggled(smuggled, "evil.test")), kNow) == Upstream::kAdmitted) {
    ++smuggled;
    ASSERT_LT(smuggled, 1000);
  }
  EXPECT_EQ(smuggled, 127);  // 8,192 bytes, 4 of them for "www.".
  EXPECT_EQ(budget.AdmitUpstream(Name(Smuggled(2000, "deeper.evil.test")), kNow),
            Upstream::kTunnel);
  EXPECT_EQ(budget.AdmitUpstream(Name("new.evil.test"), kNow), Upstream::kAdmitted);  // Short.
  EXPECT_EQ(budget.AdmitUpstream(Name("www.evil.test"), kNow), Upstream::kAdmitted);
  EXPECT_EQ(budget.AdmitUpstream(Name("www.good.test"), kNow), Upstream::kAdmitted);
  const SteadyTime later = kNow + std::chrono::minutes(1);
  EXPECT_EQ(budget.AdmitUpstream(Name(Smuggled(2000, "evil.test")), later), Upstream::kAdmitted);
}

// How many of at most `most` names in a row are admitted: Smuggled(i, below(i)).
template <typename Below>
int SmuggledBelow(QueryBudget& budget, int most, Below below, SteadyTime now = kNow) {
  for (int i = 0; i < most; ++i) {
    if (budget.AdmitUpstream(Name(Smuggled(i, below(i))), now) != Upstream::kAdmitted) return i;
  }
  return most;
}

TEST(QueryBudgetTest, DN04_AShortNameIsNoRegistry) {
  QueryBudget budget(DnsLimits(), kNow);
  EXPECT_EQ(SmuggledBelow(budget, 1000, [](int) { return "7qk.cc"; }), 128);
}

TEST(QueryBudgetTest, DN04_OtherNamesDoNotMakeItForgetATunnel) {
  QueryBudget budget(DnsLimits(), kNow);
  ASSERT_EQ(SmuggledBelow(budget, 1000, [](int) { return "a.evil.test"; }), 124);
  // As fast as names are admitted.
  SteadyTime now = kNow;
  for (size_t i = 0; i < 3 * QueryBudget::kMaxRegisteredNames; ++i) {
    now += std::chrono::milliseconds(5);
    ASSERT_EQ(budget.AdmitUpstream(Name("a.x" + std::to_string(i) + ".test"), now),
              Upstream::kAdmitted);
  }
  // No more than a quarter of a minute's.
  EXPECT_LE(SmuggledBelow(budget, 1000, [](int) { return "b.evil.test"; }, now), 32);
}

TEST(QueryBudgetTest, DN04_ATunnelOverManyNamesIsNoticed) {
  constexpr int kInAll = 16 * 8192 / 64;
  const auto own = [](int i) { return "evil" + std::to_string(i / 8) + ".test"; };
  const DnsLimits limits = {.upstream_at_once = 1e6};
  QueryBudget many(limits, kNow);
  EXPECT_EQ(SmuggledBelow(many, 10'000, own), kInAll);
  EXPECT_EQ(many.AdmitUpstream(Name("new.test"), kNow), Upstream::kAdmitted);
  // Somebody may have got hold of what looks like a registry.
  QueryBudget registry(limits, kNow);
  EXPECT_EQ(SmuggledBelow(registry, 10'000, [](int) { return "co.io"; }), kInAll);
}

TEST(QueryBudgetTest, ThousandsOfHostsOfHundredsOfCompaniesAreNoTunnel) {
  QueryBudget budget({.upstream_at_once = 1e6}, kNow);
  for (int i = 0; i < 5000; ++i) {
    const std::string host =
        "d" + std::to_string(10'000 + i) + "abcdefghij.cdn" + std::to_string(i % 500) + ".test";
    ASSERT_EQ(budget.AdmitUpstream(Name(host), kNow), Upstream::kAdmitted) << host;
  }
}

TEST(QueryBudgetTest, AFewHundredHostsOfOneCompanyAreNoTunnel) {
  QueryBudget budget(DnsLimits(), kNow);
  for (int i = 0; i < 500; ++i) {
    EXPECT_EQ(budget.AdmitUpstream(Name("d" + std::to_string(1000 + i) + "abcdef.cdn.test"), kNow),
              Upstream::kAdmitted);
  }
}

}  // namespace
}  // namespace sallyport::proxy
