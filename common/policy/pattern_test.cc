#include "common/policy/pattern.h"

#include <gtest/gtest.h>

namespace sallyport {
namespace {

Host HostOf(std::string_view text) {
  const auto host = Host::Parse(text);
  EXPECT_TRUE(host.ok()) << host.status();
  return host.value_or(Host());
}

Pattern PatternOf(std::string_view text) {
  const auto pattern = Pattern::Parse(text);
  EXPECT_TRUE(pattern.ok()) << pattern.status();
  return pattern.value_or(Pattern());
}

TEST(PatternTest, IsNormalised) {
  using Kind = Pattern::Kind;
  struct {
    const char* text;
    const char* canonical;
    Kind kind;
  } cases[] = {
      {"api.example.com", "api.example.com", Kind::kExactName},
      {"API.Example.COM.", "api.example.com", Kind::kExactName},
      {"_x-y.test", "_x-y.test", Kind::kExactName},
      {"localhost", "localhost", Kind::kExactName},
      {"m\u00fcnchen.de", "xn--mnchen-3ya.de", Kind::kExactName},
      {"M\u00dcNCHEN.de", "xn--mnchen-3ya.de", Kind::kExactName},
      {"mu\u0308nchen.de", "xn--mnchen-3ya.de", Kind::kExactName},
      {"XN--MNCHEN-3YA.de", "xn--mnchen-3ya.de", Kind::kExactName},
      {"stra\u00dfe.de", "xn--strae-oqa.de", Kind::kExactName},
      {"\uff47ood.test", "good.test", Kind::kExactName},
      {"good\u3002test\uff0e", "good.test", Kind::kExactName},
      {"*.m\u00fcnchen.de", "*.xn--mnchen-3ya.de", Kind::kGlob},
      {"*", "*", Kind::kGlob},
      {"**", "*", Kind::kGlob},
      {"**.Evil.com", "*.evil.com", Kind::kGlob},
      {"a*a", "a*a", Kind::kGlob},
      {"10.*", "10.*", Kind::kGlob},
      {"203.0.113.7", "203.0.113.7", Kind::kAddress},
      {"203.0.113.7/32", "203.0.113.7", Kind::kAddress},
      {"\uff12\uff10\uff13.0.113.7", "203.0.113.7", Kind::kAddress},
      {"2001:DB8::1", "2001:db8::1", Kind::kAddress},
      {"[2001:db8:0::1]", "2001:db8::1", Kind::kAddress},
      {"::ffff:10.0.0.1", "10.0.0.1", Kind::kAddress},
      {"203.0.113.0/24", "203.0.113.0/24", Kind::kNetwork},
      {"[2001:db8::]/32", "2001:db8::/32", Kind::kNetwork},
      {"::ffff:10.0.0.0/104", "10.0.0.0/8", Kind::kNetwork},
      {"0.0.0.0/0", "0.0.0.0/0", Kind::kNetwork},
      {"::/0", "::/0", Kind::kNetwork},
  };
  for (const auto& c : cases) {
    const Pattern pattern = PatternOf(c.text);
    EXPECT_EQ(pattern.text(), c.canonical) << c.text;
    EXPECT_EQ(pattern.kind(), c.kind) << c.text;
    EXPECT_EQ(PatternOf(pattern.text()).text(), pattern.text());
  }
}

TEST(PatternTest, MessagesSayWhatToWriteInstead) {
  struct {
    std::string text;
    const char* message;
  } cases[] = {
      {"", "is empty; write a host"},
      {" bad.com", "white space; write \"bad.com\""},
      {"bad.com\t", "white space; write \"bad.com\""},
      {"bad .com", "white space; write \"bad.com\""},
      {"https://bad.com", "scheme; patterns are hosts without one; write \"bad.com\""},
      {"https://u:p@bad.com:8443/x?y", "write \"bad.com\""},
      {"http://[2001:db8::1]:80/", "write \"[2001:db8::1]\""},
      {"https://", "write a host alone"},
      {"bad.com/path", "path; patterns are hosts without one; write \"bad.com\""},
      {"bad.com/24", "path"},
      {"*/x", "write \"*\""},
      {"bad.com:443", "port; patterns hold for every port; write \"bad.com\""},
      {"*:443", "write \"*\""},
      {"10.0.0.1:80", "port; patterns hold for every port; write \"10.0.0.1\""},
      {"[2001:db8::1]:443", "write \"2001:db8::1\""},
      {"[2001:db8::1]x", "text after the bracket"},
      {"[2001:db8::1", "no closing bracket"},
      {"[bad.com]", "brackets, which are for IPv6 addresses; write \"bad.com\""},
      {"fe80::1%eth0", "zone"},
      {"user@bad.com", "user info; patterns are hosts without it; write \"bad.com\""},
      {"?ad.com", "write `*` for any run"},
      {"b%61d.com", "percent sign"},
      {"a,b.com", "the character \",\", which no host has"},
      {"a\\b", "which no host has"},
      {"[a-z].com", "brackets"},
      {"{a,b}.com", "the character \"{\""},
      {"a\x01", "the character \"\\x01\""},
      {std::string("a\0b", 3), "the character \"\\x00\""},
      {".evil.com", "write \"*.evil.com\" for every host below it"},
      {"a..b", "empty label"},
      {"bad.com..", "empty label"},
      {"*..com", "empty label"},
      {"..", "empty label"},
      {".", "empty label"},
      {"10.0.0.1/8", "write 10.0.0.0/8 for the network or 10.0.0.1 for the one address"},
      {"10.0.0.0/33", "from 0 to 32"},
      {"10.0.0.0/", "from 0 to 32"},
      {"10.0.0.0/08", "leading zeros"},
      {"2001:db8::/129", "from 0 to 128"},
      {"1.2.3/24", "four decimal numbers"},
      {"010.0.0.1", "leading zeros"},
      {"127.1", "four decimal numbers"},
      {"2130706433", "four decimal numbers"},
      {"0x7f.1", "dotted decimal"},
      {"0x7f000001", "dotted decimal"},
      {"1:2:3", "not an IP address"},
      {"*\uff0eb\u00fccher*.de", "`*` in a label that is not ASCII"},
      {"\uff0a.com", "full-width"},
      {"\u2028.com", "not a legal international name"},
      {"\xff.com", "not a legal international name"},
      {std::string(64, 'a'), "63 bytes"},
      {std::string(256, 'a') + "*", "longer than 255 bytes"},
      {std::string(1 << 20, 'a'), "longer than 255 bytes"},
  };
  for (const auto& c : cases) {
    const auto pattern = Pattern::Parse(c.text);
    ASSERT_FALSE(pattern.ok()) << c.text;
    EXPECT_EQ(pattern.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(std::string(pattern.status().message()).find(c.message), std::string::npos)
        << c.text << ": " << pattern.status();
  }
}

TEST(PatternTest, Matches) {
  struct {
    const char* pattern;
    const char* host;
    bool matches;
  } cases[] = {
      {"example.com", "EXAMPLE.com.", true},
      {"example.com", "a.example.com", false},
      {"*.example.com", "a.example.com", true},
      {"*.example.com", "a.b.example.com", true},
      {"*.example.com", "example.com", false},
      {"*.example.com", "evilexample.com", false},
      {"*.pkgs.example", "evilpkgs.example", false},
      {"*example.com", "evilexample.com", true},
      {"a*a", "a", false},
      {"a*a", "aa", true},
      {"a*a", "aba", true},
      {"ab*bc", "abc", false},
      {"ab*bc", "abbc", true},
      {"google.*", "maps.google.com", false},
      {"google.*", "google.evil.com", true},
      {"api.*.com", "api.stripe.com", true},
      {"api.*.com", "api.com", false},
      {"*a*b*", "xaxbx", true},
      {"*a*b*", "xbxax", false},
      {"*ab*ab*", "aab", false},
      {"*ab*ab*", "aabab", true},
      {"*.*", "localhost", false},
      {"*.*", "a.b", true},
      {"*", "localhost", true},
      {"*", "203.0.113.7", true},
      {"*", "[2001:db8::1]", true},
      {"10.*", "10.1.2.3", true},
      {"203.0.113.7", "203.0.113.7", true},
      {"203.0.113.7", "[::ffff:203.0.113.7]", true},
      {"203.0.113.7", "203.0.113.70", false},
      {"203.0.113.0/24", "203.0.113.255", true},
      {"203.0.113.0/24", "203.0.112.255", false},
      {"203.0.113.0/24", "203.0.113.example", false},
      {"2001:db8::/32", "[2001:db8:ffff::1]", true},
      {"2001:db8::/32", "[2001:db9::1]", false},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(PatternOf(c.pattern).Matches(HostOf(c.host)), c.matches)
        << c.pattern << " " << c.host;
  }
}

TEST(PatternTest, OnlyAddressesAndNetworksMatchAnAddressBehindAName) {
  const IpAddress address = *IpAddress::Parse("203.0.113.7");
  EXPECT_TRUE(PatternOf("203.0.113.7").MatchesAddress(address));
  EXPECT_TRUE(PatternOf("203.0.113.0/24").MatchesAddress(address));
  EXPECT_FALSE(PatternOf("203.0.113.8").MatchesAddress(address));
  EXPECT_FALSE(PatternOf("*").MatchesAddress(address));
  EXPECT_FALSE(PatternOf("203.*").MatchesAddress(address));
}

// A matcher that backtracks needs more than 2^80 steps here and would not come back.
TEST(PatternTest, ManyStarsCostLinearTime) {
  std::string glob;
  for (int i = 0; i < 120; ++i) glob += "*a";
  glob += "*b";
  std::string host = std::string(63, 'a') + "." + std::string(63, 'a') + "." +
                     std::string(63, 'a') + "." + std::string(61, 'a');
  const Pattern pattern = PatternOf(glob);
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(pattern.Matches(HostOf(host)));
  host.back() = 'b';
  EXPECT_TRUE(pattern.Matches(HostOf(host)));
}

// Against a matcher that is too simple to be wrong.
bool SlowMatch(std::string_view glob, std::string_view text) {
  if (glob.empty()) return text.empty();
  if (glob[0] == '*') {
    return SlowMatch(glob.substr(1), text) || (!text.empty() && SlowMatch(glob, text.substr(1)));
  }
  return !text.empty() && text[0] == glob[0] && SlowMatch(glob.substr(1), text.substr(1));
}

TEST(PatternTest, AgreesWithTheSimpleMatcherOnAllShortInputs) {
  const auto all = [](std::string_view alphabet, size_t longest) {
    std::vector<std::string> texts = {""};
    for (size_t begin = 0, length = 1; length <= longest; ++length) {
      const size_t end = texts.size();
      for (; begin < end; ++begin) {
        for (const char c : alphabet) texts.push_back(texts[begin] + c);
      }
    }
    return texts;
  };
  const std::vector<std::string> hosts = all("ab", 6);
  for (const std::string& glob : all("ab*", 5)) {
    if (glob.find('*') == std::string::npos) continue;
    const Pattern pattern = PatternOf(glob);
    for (const std::string& host : hosts) {
      if (host.empty()) continue;
      EXPECT_EQ(pattern.Matches(HostOf(host)), SlowMatch(glob, host)) << glob << " " << host;
    }
  }
}

}  // namespace
}  // namespace sallyport
