#include "agent/proxy/dns/names.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace sallyport::proxy {
namespace {

Host Name(const std::string& text) { return *Host::Parse(text); }
IpAddress Ip(const std::string& text) { return *IpAddress::Parse(text); }
std::string NameOf(const DnsNames& names, const IpAddress& address) {
  const std::optional<Host> name = names.NameOf(address);
  return name.has_value() ? name->text() : "none";
}

TEST(DnsNamesTest, PlaceholdersAreStableAndDistinct) {
  DnsNames names;
  const IpAddress a = names.Placeholder(Name("a.test"));
  const IpAddress b = names.Placeholder(Name("b.test"));
  EXPECT_NE(a, b);
  EXPECT_TRUE(IsPlaceholderAddress(a));
  EXPECT_EQ(names.Placeholder(Name("a.test")), a);
  EXPECT_EQ(NameOf(names, a), "a.test");
  EXPECT_EQ(NameOf(names, b), "b.test");
}

TEST(DnsNamesTest, KnowsItsRange) {
  EXPECT_TRUE(IsPlaceholderAddress(Ip("198.18.0.0")));
  EXPECT_TRUE(IsPlaceholderAddress(Ip("198.19.255.255")));
  EXPECT_FALSE(IsPlaceholderAddress(Ip("198.17.255.255")));
  EXPECT_FALSE(IsPlaceholderAddress(Ip("198.20.0.0")));
  EXPECT_FALSE(IsPlaceholderAddress(Ip("2001:db8::1")));
}

TEST(DnsNamesTest, TheLastNameOfAnAddressCounts) {
  DnsNames names;
  names.Remember(Ip("203.0.113.1"), Name("a.test"));
  names.Remember(Ip("203.0.113.1"), Name("b.test"));
  EXPECT_EQ(NameOf(names, Ip("203.0.113.1")), "b.test");
  EXPECT_EQ(NameOf(names, Ip("203.0.113.2")), "none");
}

TEST(DnsNamesTest, ResolversCannotTakeAPlaceholder) {
  DnsNames names;
  const IpAddress placeholder = names.Placeholder(Name("a.test"));
  names.Remember(placeholder, Name("evil.test"));
  EXPECT_EQ(NameOf(names, placeholder), "a.test");
}

TEST(DnsNamesTest, ForgetsWhatWasUsedLongestAgo) {
  DnsNames names;
  const auto address = [](size_t i) { return IpAddress::FromV4(0xcb007100 + i); };
  names.Remember(address(0), Name("first.test"));
  for (size_t i = 1; i < DnsNames::kMaxAddresses; ++i) names.Remember(address(i), Name("a.test"));
  EXPECT_EQ(NameOf(names, address(0)), "first.test");  // Used now.
  names.Remember(address(DnsNames::kMaxAddresses), Name("a.test"));
  EXPECT_EQ(NameOf(names, address(0)), "first.test");
  EXPECT_EQ(NameOf(names, address(1)), "none");
}

TEST(DnsNamesTest, PlaceholdersGoRoundTheRange) {
  DnsNames names;
  const IpAddress first = names.Placeholder(Name("kept.test"));
  std::set<IpAddress> seen;
  // More names than the range has addresses.
  for (int i = 0; i < 140'000; ++i) {
    const IpAddress address = names.Placeholder(Name("n" + std::to_string(i) + ".test"));
    ASSERT_NE(address, first);
    ASSERT_TRUE(IsPlaceholderAddress(address));
    if (i < 131'000) ASSERT_TRUE(seen.insert(address).second) << i;
    if (i % 1000 == 0) ASSERT_EQ(names.Placeholder(Name("kept.test")), first);
  }
  EXPECT_EQ(NameOf(names, first), "kept.test");
}

}  // namespace
}  // namespace sallyport::proxy
