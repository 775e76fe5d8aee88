#include "cli/diff/line_diff.h"

#include <gtest/gtest.h>

#include <random>
#include <sstream>
#include <vector>

#include "common/base/strings.h"

namespace sallyport::cli {
namespace {

TEST(LineDiffTest, TheSameHasNoDifference) {
  EXPECT_EQ(UnifiedDiff("", ""), "");
  EXPECT_EQ(UnifiedDiff("a\nb\n", "a\nb\n"), "");
}

TEST(LineDiffTest, ShowsContext) {
  EXPECT_EQ(UnifiedDiff("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nfive\n6\n7\n8\n9\n"),
            "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
}

TEST(LineDiffTest, FromAndToNothing) {
  EXPECT_EQ(UnifiedDiff("", "a\nb\n"), "@@ -0,0 +1,2 @@\n+a\n+b\n");
  EXPECT_EQ(UnifiedDiff("a\n", ""), "@@ -1 +0,0 @@\n-a\n");
}

TEST(LineDiffTest, FarChangesAreHunksOfTheirOwn) {
  std::string before, after;
  for (int i = 1; i <= 30; ++i) {
    before += StrCat(i, "\n");
    after += i == 5 || i == 25 ? "x\n" : StrCat(i, "\n");
  }
  EXPECT_EQ(UnifiedDiff(before, after),
            "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+x\n 6\n 7\n 8\n"
            "@@ -22,7 +22,7 @@\n 22\n 23\n 24\n-25\n+x\n 26\n 27\n 28\n");
}

// What patch(1) makes of `before` by these hunks.
std::string Patched(const std::string& before, const std::string& diff) {
  std::vector<std::string> lines;
  std::istringstream in(before);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  std::string after;
  size_t next = 0;
  std::istringstream hunks(diff);
  for (std::string line; std::getline(hunks, line);) {
    if (line[0] == '@') {
      size_t start = 0, count = 1;
      std::sscanf(line.c_str(), "@@ -%zu,%zu", &start, &count);
      const size_t at = count == 0 ? start : start - 1;
      while (next < at) after += lines[next++] + "\n";
    } else if (line[0] == '+') {
      after += line.substr(1) + "\n";
    } else {
      EXPECT_EQ(lines.at(next), line.substr(1)) << diff;
      if (line[0] == ' ') after += lines[next] + "\n";
      ++next;
    }
  }
  while (next < lines.size()) after += lines[next++] + "\n";
  return after;
}

TEST(LineDiffTest, PatchesOneIntoTheOther) {
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    std::string texts[2];
    for (std::string& text : texts) {
      for (size_t i = random() % 30; i > 0; --i) text += StrCat(random() % 6, "\n");
    }
    ASSERT_EQ(Patched(texts[0], UnifiedDiff(texts[0], texts[1])), texts[1]) << texts[0] << "---\n"
                                                                            << texts[1];
  }
}

TEST(LineDiffTest, LargeTextsThatHaveNothingInCommon) {
  std::string before, after;
  for (int i = 0; i < 20'000; ++i) {
    before += StrCat("a", i, "\n");
    after += StrCat("b", i, "\n");
  }
  const std::string diff = UnifiedDiff(before, after);
  EXPECT_EQ(diff.substr(0, 25), "@@ -1,20000 +1,20000 @@\n-");
  EXPECT_EQ(Patched(before, diff), after);
}

}  // namespace
}  // namespace sallyport::cli
