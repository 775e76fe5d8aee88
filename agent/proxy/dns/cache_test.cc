#include "agent/proxy/dns/cache.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sallyport::proxy {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const SteadyTime kNow = SteadyTime() + std::chrono::hours(1);

Host Name(const std::string& text) { return *Host::Parse(text); }

DnsQuery Question(const Host& name, DnsType type) {
  return DnsQuery{.wire_name = EncodeDnsName(name.text()), .host = name, .type = type};
}

class DnsCacheTest : public testing::Test {
 protected:
  void Keep(const std::string& name, const std::string& address, uint32_t ttl) {
    const DnsQuery question = Question(Name(name), DnsType::kA);
    Keep(question, BuildDnsReply(question, DnsRcode::kNoError,
                                 std::vector{DnsRecord::Address(*IpAddress::Parse(address), ttl)}));
  }
  void KeepNegative(const std::string& name, DnsType type, DnsRcode rcode, uint32_t ttl) {
    const DnsQuery question = Question(Name(name), type);
    Keep(question, BuildNegativeDnsReply(question, rcode, ttl));
  }
  void Keep(const DnsQuery& question, const std::string& message) {
    cache_.Store(*question.host, question.type,
                 *UpstreamAnswer::Parse(message, question.wire_name, question.type), kNow);
  }
  // "203.0.113.1@50", "NXDOMAIN@20", "empty@20", or "none".
  std::string Find(const std::string& name, DnsType type = DnsType::kA,
                   std::chrono::milliseconds later = milliseconds(0)) {
    const std::optional<UpstreamAnswer> found = cache_.Find(Name(name), type, kNow + later);
    if (!found.has_value()) return "none";
    const std::string left = "@" + std::to_string(found->lifetime());
    if (found->rcode() == DnsRcode::kNxDomain) return "NXDOMAIN" + left;
    if (found->is_negative()) return "empty" + left;
    return found->Addresses().addresses.front().ToString() + left;
  }

  DnsCache cache_{4, 1 << 20};
};

TEST_F(DnsCacheTest, CountsLifetimesDown) {
  Keep("a.test", "203.0.113.1", 60);
  EXPECT_EQ(Find("a.test"), "203.0.113.1@60");
  EXPECT_EQ(Find("a.test", DnsType::kA, milliseconds(10'999)), "203.0.113.1@50");
  EXPECT_EQ(Find("a.test", DnsType::kA, milliseconds(59'999)), "203.0.113.1@1");
  EXPECT_EQ(Find("a.test", DnsType::kA, seconds(60)), "none");
  EXPECT_EQ(cache_.size(), 0u);
}

TEST_F(DnsCacheTest, KeepsNamesAndTypesApart) {
  Keep("a.test", "203.0.113.1", 60);
  EXPECT_EQ(Find("a.test", DnsType::kAaaa), "none");
  EXPECT_EQ(Find("b.test"), "none");
  KeepNegative("a.test", DnsType::kAaaa, DnsRcode::kNoError, 20);
  EXPECT_EQ(Find("a.test", DnsType::kAaaa), "empty@20");
  EXPECT_EQ(Find("a.test"), "203.0.113.1@60");
}

TEST_F(DnsCacheTest, ANameThatDoesNotExistHasNoType) {
  KeepNegative("a.test", DnsType::kA, DnsRcode::kNxDomain, 20);
  EXPECT_EQ(Find("a.test", DnsType::kTxt), "NXDOMAIN@20");
  EXPECT_EQ(Find("a.test", DnsType::kTxt, seconds(20)), "none");
}

TEST_F(DnsCacheTest, WhatMayNotBeKeptIsNot) {
  Keep("a.test", "203.0.113.1", 0);
  const DnsQuery question = Question(Name("b.test"), DnsType::kA);
  Keep(question, BuildDnsReply(question, DnsRcode::kNxDomain));
  EXPECT_EQ(cache_.size(), 0u);
}

TEST_F(DnsCacheTest, ANewAnswerReplacesTheOld) {
  Keep("a.test", "203.0.113.1", 60);
  Keep("a.test", "203.0.113.2", 5);
  EXPECT_EQ(Find("a.test"), "203.0.113.2@5");
  EXPECT_EQ(cache_.size(), 1u);
}

TEST_F(DnsCacheTest, DN19_ForgetsWhatWasNotUsedForLongest) {
  for (const char* name : {"a.test", "b.test", "c.test", "d.test"}) Keep(name, "203.0.113.1", 60);
  EXPECT_EQ(Find("a.test"), "203.0.113.1@60");
  for (int i = 0; i < 3; ++i) Keep("n" + std::to_string(i) + ".test", "203.0.113.1", 60);
  EXPECT_EQ(cache_.size(), 4u);
  EXPECT_EQ(Find("a.test"), "203.0.113.1@60");
  EXPECT_EQ(Find("d.test"), "none");
}

TEST_F(DnsCacheTest, LimitsBytesToo) {
  DnsCache small(1000, 4096);
  const DnsQuery question = Question(Name("a.test"), DnsType::kTxt);
  const DnsRecord text{
      .type = DnsType::kTxt, .ttl = 60, .data = "\xff" + std::string(255, 'x'), .owner = ""};
  const auto store = [&](const std::string& name, size_t records) {
    const std::string message =
        BuildDnsReply(question, DnsRcode::kNoError, std::vector<DnsRecord>(records, text), 65535);
    small.Store(Name(name), DnsType::kTxt,
                *UpstreamAnswer::Parse(message, question.wire_name, DnsType::kTxt), kNow);
  };
  store("small.test", 1);
  EXPECT_EQ(small.size(), 1u);
  for (int i = 0; i < 100; ++i) store("n" + std::to_string(i) + ".test", 2);
  EXPECT_GE(small.size(), 2u);
  EXPECT_LE(small.size(), 7u);
  // A large one pushes nobody out.
  const size_t before = small.size();
  store("large.test", 100);
  EXPECT_EQ(small.size(), before);
  EXPECT_FALSE(small.Find(Name("large.test"), DnsType::kTxt, kNow).has_value());
}

}  // namespace
}  // namespace sallyport::proxy
