#include <gtest/gtest.h>

#include <string>

#include "common/builtin/path_pattern.h"
#include "common/builtin/safe_path.h"

namespace sallyport {
namespace {

struct TrickCase {
  std::string target;
  std::string wrong;  // Empty: it is decoded, to `decoded`.
  std::string decoded = {};
};

TEST(SafePathTest, DecodesOrSaysWhatIsWrong) {
  const TrickCase kCases[] = {
      {"/", "", "/"},
      {"/a/b", "", "/a/b"},
      {"/a/b/", "", "/a/b/"},
      {"/a?b=../..//%2f", "", "/a"},
      {"/%61%7e%C3%A9", "", "/a~\xc3\xa9"},
      {"/a.b/..c/d../...", "", "/a.b/..c/d../..."},
      {"/a;x=1/b", "", "/a;x=1/b"},
      {"*", "no slash at its beginning"},
      {"", "no slash at its beginning"},
      {"/.", "a dot segment"},
      {"/..", "a dot segment"},
      {"/a/./b", "a dot segment"},
      {"/a/../b", "a dot segment"},
      {"/a/..", "a dot segment"},
      {"/a/..;/b", "a dot segment"},
      {"/a/..%3b/b", "a dot segment"},
      {"/a/.;x=1", "a dot segment"},
      {"/a//b", "an empty segment"},
      {"//a", "an empty segment"},
      {"/a//", "an empty segment"},
      {"/a\\b", "a backslash"},
      {"/a%5cb", "an encoded backslash"},
      {"/a%2fb", "an encoded slash"},
      {"/a%2Fb", "an encoded slash"},
      {"/%2e%2e/a", "an encoded dot"},
      {"/.%2E/a", "an encoded dot"},
      {"/%252e%252e/a", "an encoded percent sign"},
      {"/a%00", "an encoded control byte"},
      {"/a%0d%0ax", "an encoded control byte"},
      {"/a%7f", "an encoded control byte"},
      {"/a%", "a percent sign without two hexadecimal digits"},
      {"/a%2", "a percent sign without two hexadecimal digits"},
      {"/a%zz", "a percent sign without two hexadecimal digits"},
      {"/a%u002e", "a percent sign without two hexadecimal digits"},
      {"/%c0%ae%c0%ae/a", "overlong UTF-8"},
      {"/%e0%80%af", "overlong UTF-8"},
      {"/%f0%80%80%af", "overlong UTF-8"},
      {"/a#b", "a number sign"},
  };
  for (const TrickCase& one : kCases) {
    std::string decoded;
    EXPECT_EQ(DecodePath(one.target, &decoded), one.wrong) << one.target;
    if (one.wrong.empty()) EXPECT_EQ(decoded, one.decoded) << one.target;
  }
}

struct MatchCase {
  std::string pattern;
  std::string path;
  bool matches;
};

TEST(PathPatternTest, MatchesSegmentBySegment) {
  const MatchCase kCases[] = {
      {"/", "/", true},
      {"/", "/a", false},
      {"/a", "/a", true},
      {"/a", "/a/", false},
      {"/a", "/A", false},
      {"/a/*", "/a/b", true},
      {"/a/*", "/a/", true},
      {"/a/*", "/a", false},
      {"/a/*", "/a/b/c", false},
      {"/a/*/c", "/a/b/c", true},
      {"/a/*/c", "/a/b/x/c", false},
      {"/a/b*d", "/a/bccd", true},
      {"/a/b*d", "/a/bd", true},
      {"/a/b*d", "/a/b/d", false},
      {"/*a*a*", "/aa", true},
      {"/*a*a*", "/a", false},
      {"/*aab", "/aaab", true},
      {"/**", "/", true},
      {"/**", "/a/b/c", true},
      {"/a/**", "/a", true},
      {"/a/**", "/a/", true},
      {"/a/**", "/a/b/c", true},
      {"/a/**", "/ab", false},
      {"/a/**/z", "/a/z", true},
      {"/a/**/z", "/a/b/c/z", true},
      {"/a/**/z", "/a/z/b", false},
      {"/**/m/**/z", "/a/m/b/m/z", true},
      {"/**/m/*/z", "/m/m/b/z", true},
      {"/**/m/*/z", "/m/b/c/z", false},
      {"/**/**", "/a", true},
      {"/a?", "", false},
  };
  for (const MatchCase& one : kCases) {
    const auto pattern = PathPattern::Parse(one.pattern);
    if (one.path.empty()) {
      EXPECT_FALSE(pattern.ok()) << one.pattern;
      continue;
    }
    ASSERT_TRUE(pattern.ok()) << one.pattern << pattern.status();
    EXPECT_EQ(pattern->Matches(one.path), one.matches) << one.pattern << " " << one.path;
  }
}

TEST(PathPatternTest, ManyStarsCostNoMoreThanLengthTimesLength) {
  std::string pattern = "/";
  for (int i = 0; i < 200; ++i) pattern += "*a";
  const auto parsed = PathPattern::Parse(pattern + "b");
  ASSERT_TRUE(parsed.ok());
  EXPECT_FALSE(parsed->Matches("/" + std::string(8000, 'a')));
  std::string segments;
  for (int i = 0; i < 100; ++i) segments += "/**/a";
  const auto any = PathPattern::Parse(segments + "/b");
  ASSERT_TRUE(any.ok());
  std::string path;
  for (int i = 0; i < 4000; ++i) path += "/a";
  EXPECT_FALSE(any->Matches(path));
}

TEST(PathPatternTest, SaysWhatToWrite) {
  const std::pair<const char*, const char*> kCases[] = {
      {"", "does not begin with `/`"},       {"a", "does not begin with `/`"},
      {"/a?x=1", "a query is not looked"},   {"/a%20b", "write the character itself"},
      {"/a/../b", "has a dot segment"},      {"/a//b", "has an empty segment"},
      {"/a/**b", "write it as a whole seg"}, {"/a\nb", "control byte"},
  };
  for (const auto& [text, message] : kCases) {
    const absl::Status status = PathPattern::Parse(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_NE(status.ToString().find(message), std::string::npos) << status;
  }
}

}  // namespace
}  // namespace sallyport
