#include "common/policy/pattern_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <string>

namespace sallyport {
namespace {

// The same questions, answered by trying each pattern in turn.
class Linear {
 public:
  explicit Linear(std::vector<Pattern> patterns) : patterns_(std::move(patterns)) {}

  Position Exact(const Host& host) const {
    return First([&](const Pattern& p) { return !IsOfMany(p) && p.Matches(host); });
  }
  Position ExactAddress(const IpAddress& address) const {
    return First([&](const Pattern& p) { return !IsOfMany(p) && p.MatchesAddress(address); });
  }
  Position FirstPattern(const Host& host) const {
    return First([&](const Pattern& p) { return IsOfMany(p) && p.Matches(host); });
  }
  Position FirstNetwork(const IpAddress& address) const {
    return First([&](const Pattern& p) { return IsOfMany(p) && p.MatchesAddress(address); });
  }

 private:
  static bool IsOfMany(const Pattern& p) {
    return p.kind() == Pattern::Kind::kGlob || p.kind() == Pattern::Kind::kNetwork;
  }
  Position First(const std::function<bool(const Pattern&)>& matches) const {
    const auto found = std::find_if(patterns_.begin(), patterns_.end(), matches);
    return found == patterns_.end() ? kNoPosition
                                    : static_cast<Position>(found - patterns_.begin());
  }

  std::vector<Pattern> patterns_;
};

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  size_t Below(size_t n) { return engine_() % n; }

  std::string Text(std::string_view alphabet, size_t longest) {
    std::string text;
    for (size_t i = Below(longest) + 1; i > 0; --i)
      text.push_back(alphabet[Below(alphabet.size())]);
    return text;
  }
  // Few networks, so that they lie in each other.
  std::string Network() {
    if (Below(2) == 0) {
      const size_t length = 24 + Below(9);
      const uint32_t mask = ~uint32_t{0} << (32 - length);
      return IpAddress::FromV4((0xcb007100u | Below(256)) & mask).ToString() + "/" +
             std::to_string(length);
    }
    static constexpr const char* kOthers[] = {"0.0.0.0/0",         "::/0",       "2001:db8::/32",
                                              "2001:db8:8::/48",   "ff00::/8",   "255.0.0.0/8",
                                              "2001:db8:8:8::/64", "128.0.0.0/1"};
    return kOthers[Below(std::size(kOthers))];
  }
  std::string Address() {
    static constexpr const char* kOthers[] = {
        "2001:db8::1", "2001:db8:8::1",   "ffff::1",
        "::1",         "255.255.255.255", "0.0.0.0",
        "128.0.0.0",   "127.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"};
    if (Below(2) == 0) return kOthers[Below(std::size(kOthers))];
    return IpAddress::FromV4(0xcb007100u | Below(256)).ToString();
  }

 private:
  std::mt19937 engine_;
};

void ExpectSame(const PatternTable& table, const Linear& linear, const Host& host) {
  EXPECT_EQ(table.Exact(host), linear.Exact(host)) << host.text();
  EXPECT_EQ(table.FirstPattern(host), linear.FirstPattern(host)) << host.text();
  if (!host.is_address()) return;
  EXPECT_EQ(table.ExactAddress(host.address()), linear.ExactAddress(host.address()));
  EXPECT_EQ(table.FirstNetwork(host.address()), linear.FirstNetwork(host.address())) << host.text();
}

TEST(PatternTableTest, SaysWhatTryingEachInTurnSays) {
  Random random(7);
  int globs_found = 0, networks_found = 0;
  for (int round = 0; round < 400; ++round) {
    // Short alphabets make pieces overlap and repeat; long ones make them rare.
    const std::string_view letters = round % 2 == 0 ? "ab." : "abcdefghij-.";
    const std::string_view wild = round % 2 == 0 ? "ab.*" : "abcdefghij-.**";
    std::vector<Pattern> patterns;
    for (size_t i = random.Below(60); i > 0; --i) {
      const std::string text = random.Below(4) == 0   ? random.Network()
                               : random.Below(6) == 0 ? random.Address()
                                                      : random.Text(wild, 12);
      if (absl::StatusOr<Pattern> pattern = Pattern::Parse(text); pattern.ok()) {
        patterns.push_back(*std::move(pattern));
      }
    }
    const PatternTable table(patterns);
    const Linear linear(patterns);
    for (int i = 0; i < 60; ++i) {
      const absl::StatusOr<Host> host = Host::Parse(random.Text(letters, 20));
      if (host.ok()) ExpectSame(table, linear, *host);
      if (host.ok()) globs_found += table.FirstPattern(*host) != kNoPosition ? 1 : 0;
      const IpAddress address = *IpAddress::Parse(random.Address());
      ExpectSame(table, linear, Host::FromAddress(address));
      networks_found += table.FirstNetwork(address) != kNoPosition ? 1 : 0;
    }
  }
  EXPECT_GT(globs_found, 1000);
  EXPECT_GT(networks_found, 1000);
}

Position FirstOf(std::vector<const char*> texts, std::string_view host) {
  std::vector<Pattern> patterns;
  for (const char* text : texts) patterns.push_back(*Pattern::Parse(text));
  return PatternTable(std::move(patterns)).FirstPattern(*Host::Parse(host));
}

TEST(PatternTableTest, TheFirstInOrderWins) {
  EXPECT_EQ(FirstOf({"*.com", "a*", "*"}, "a.com"), 0u);
  EXPECT_EQ(FirstOf({"a*", "*.com", "*"}, "a.com"), 0u);
  EXPECT_EQ(FirstOf({"*", "a*", "*.com"}, "a.com"), 0u);
  EXPECT_EQ(FirstOf({"*.org", "*x*", "*o*", "*"}, "a.com"), 2u);
  EXPECT_EQ(FirstOf({"10.*", "10.0.0.0/8"}, "10.1.2.3"), 0u);
  EXPECT_EQ(FirstOf({"10.0.0.0/8", "10.*"}, "10.1.2.3"), 0u);
  EXPECT_EQ(FirstOf({"10.1.0.0/16", "10.0.0.0/8"}, "10.1.2.3"), 0u);
  EXPECT_EQ(FirstOf({"10.0.0.0/8", "10.1.0.0/16"}, "10.1.2.3"), 0u);
  EXPECT_EQ(FirstOf({"10.1.0.0/16", "10.0.0.0/8"}, "10.2.2.3"), 1u);
}

TEST(PatternTableTest, PiecesOfEveryLengthAreFound) {
  for (const char* glob : {"*b*", "*b", "a*", "a*b", "*.b*", "*bc*", "*bcd*", "*a.bcd*", "a*b*c*d",
                           "a.bcd*", "*a.bcd", "a.b*cd", "*"}) {
    EXPECT_EQ(FirstOf({"*zz*", glob}, "a.bcd"),
              std::string_view(glob) == "*b" || std::string_view(glob) == "a*b" ? kNoPosition : 1u)
        << glob;
  }
  EXPECT_EQ(FirstOf({"a*a"}, "a"), kNoPosition);
  EXPECT_EQ(FirstOf({"a*a"}, "aa"), 0u);
}

TEST(PatternTableTest, TheLongestHost) {
  const std::string label(63, 'a');
  const std::string host = label + "." + label + "." + label + "." + std::string(61, 'z');
  EXPECT_EQ(FirstOf({"*zzz"}, host), 0u);
  EXPECT_EQ(FirstOf({"aaa*"}, host), 0u);
}

TEST(PatternTableTest, Nothing) {
  EXPECT_EQ(PatternTable().Exact(*Host::Parse("a")), kNoPosition);
  EXPECT_EQ(PatternTable().FirstPattern(*Host::Parse("a")), kNoPosition);
  EXPECT_EQ(PatternTable().FirstNetwork(IpAddress()), kNoPosition);
}

}  // namespace
}  // namespace sallyport
