#include "cli/suggest/allow_list.h"

#include <gtest/gtest.h>

#include <random>

#include "cli/suggest/public_suffix.h"
#include "common/base/strings.h"
#include "common/net/host.h"
#include "common/policy/pattern.h"

namespace sallyport::cli {
namespace {

std::vector<std::string> Patterns(const std::set<std::string>& hosts,
                                  std::optional<size_t> at_least = std::nullopt) {
  std::vector<std::string> patterns;
  for (const AllowEntry& entry : SmallestAllowList(hosts, at_least))
    patterns.push_back(entry.pattern);
  return patterns;
}

using List = std::vector<std::string>;

TEST(AllowListTest, NeighboursStandTogether) {
  EXPECT_EQ(Patterns({"a.z.com", "b.a.com", "a.com", "203.0.113.7", "2001:db8::1", "c.z.com"}),
            (List{"a.com", "b.a.com", "a.z.com", "c.z.com", "2001:db8::1", "203.0.113.7"}));
}

TEST(AllowListTest, GeneralisesFromThree) {
  EXPECT_EQ(Patterns({"a.pkgs.example", "b.pkgs.example"}, 3),
            (List{"a.pkgs.example", "b.pkgs.example"}));
  EXPECT_EQ(Patterns({"a.pkgs.example", "b.pkgs.example", "c.pkgs.example", "pkgs.example"}, 3),
            (List{"pkgs.example", "*.pkgs.example"}));
}

TEST(AllowListTest, AWiderPatternTakesInNarrowerOnes) {
  EXPECT_EQ(Patterns({"a.x.com.example", "b.x.com.example", "y.com.example", "z.com.example"}, 2),
            List{"*.com.example"});
}

TEST(AllowListTest, StrangersNamesStayApart) {
  for (const char* suffix : {"com", "co.uk", "com.au", "github.io", "s3.amazonaws.com"}) {
    const std::set<std::string> hosts = {StrCat("a.", suffix), StrCat("b.", suffix),
                                         StrCat("c.", suffix)};
    EXPECT_EQ(Patterns(hosts, 2).size(), 3u) << suffix;
  }
}

TEST(AllowListTest, SaysWhatAPatternStandsFor) {
  const std::vector<AllowEntry> list = SmallestAllowList({"a.b.example", "c.b.example"}, 2);
  ASSERT_EQ(list.size(), 1u);
  EXPECT_EQ(list[0].covers, (List{"a.b.example", "c.b.example"}));
}

std::set<std::string> SomeHosts(std::mt19937* random, int most) {
  static const char* const kLabels[] = {"a", "b", "c", "api", "com", "co", "uk", "github", "io"};
  std::set<std::string> hosts;
  for (int i = static_cast<int>((*random)() % static_cast<uint32_t>(most)); i >= 0; --i) {
    if ((*random)() % 8 == 0) {
      hosts.insert(StrCat("203.0.113.", (*random)() % 256));
      continue;
    }
    std::string host = kLabels[(*random)() % 9];
    for (uint32_t labels = (*random)() % 4; labels > 0; --labels)
      host += StrCat(".", kLabels[(*random)() % 9]);
    hosts.insert(host);
  }
  return hosts;
}

bool Matched(const std::vector<Pattern>& list, const std::string& host) {
  const absl::StatusOr<Host> parsed = Host::Parse(host);
  EXPECT_TRUE(parsed.ok()) << host;
  return std::any_of(list.begin(), list.end(),
                     [&](const Pattern& pattern) { return pattern.Matches(*parsed); });
}

// Whatever was seen is matched. What was not is matched only if generalised: then it has a parent
// in common with at least so many of what was seen.
TEST(AllowListTest, CoversWhatWasSeenAndNothingElse) {
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    const std::set<std::string> seen = SomeHosts(&random, 12);
    const std::set<std::string> others = SomeHosts(&random, 12);
    for (const std::optional<size_t> at_least :
         {std::optional<size_t>(), std::optional<size_t>(2)}) {
      std::vector<Pattern> list;
      for (const std::string& text : Patterns(seen, at_least)) {
        const absl::StatusOr<Pattern> pattern = Pattern::Parse(text);
        ASSERT_TRUE(pattern.ok()) << pattern.status();
        list.push_back(*pattern);
      }
      for (const std::string& host : seen) ASSERT_TRUE(Matched(list, host)) << host;
      for (const std::string& host : others) {
        if (seen.contains(host) || !Matched(list, host)) continue;
        ASSERT_TRUE(at_least.has_value()) << host;
        size_t most = 0;
        std::string above = host;
        for (size_t dot; (dot = above.find('.')) != std::string::npos;) {
          above = above.substr(dot + 1);
          if (MayBePublicSuffix(above)) break;
          size_t children = 0;
          for (const std::string& name : seen)
            children += name.substr(name.find('.') + 1) == above && name != above ? 1 : 0;
          most = std::max(most, children);
        }
        ASSERT_GE(most, *at_least) << host;
      }
      // Smallest: without any entry something that was seen is missing.
      for (size_t i = 0; i < list.size(); ++i) {
        std::vector<Pattern> less = list;
        less.erase(less.begin() + static_cast<ptrdiff_t>(i));
        ASSERT_TRUE(std::any_of(seen.begin(), seen.end(), [&](const std::string& host) {
          return !Matched(less, host);
        })) << list[i].text();
      }
    }
  }
}

}  // namespace
}  // namespace sallyport::cli
