#include "common/policy/problems.h"

#include <gtest/gtest.h>

#include <string>

namespace sallyport {
namespace {

TEST(ProblemsTest, NoneIsOk) { EXPECT_TRUE(Problems().ToStatus().ok()); }

TEST(ProblemsTest, OneLineEachAndBackAgain) {
  Problems problems;
  problems.Add("name", "is empty");
  problems.Add("hosts[1]", "has a port: write it without");
  const absl::Status status = problems.ToStatus();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "name: is empty\nhosts[1]: has a port: write it without");

  Problems again;
  again.Add(status);
  EXPECT_EQ(again.ToStatus(), status);
  ASSERT_EQ(again.count(), 2u);
  EXPECT_EQ(again.first()[1].path, "hosts[1]");
  EXPECT_EQ(again.first()[1].message, "has a port: write it without");
}

TEST(ProblemsTest, ManyAreCountedAndNotShown) {
  Problems problems;
  for (int i = 0; i < 62; ++i) problems.Add("hosts[" + std::to_string(i) + "]", "is empty");
  const std::string message(problems.ToStatus().message());
  EXPECT_NE(message.find("hosts[49]: is empty\nand 12 more wrong fields"), std::string::npos);
  EXPECT_EQ(message.find("hosts[50]"), std::string::npos);
  const auto parsed = ProblemsOf(message);
  ASSERT_EQ(parsed.size(), 51u);
  EXPECT_EQ(parsed[50].path, "");
  EXPECT_EQ(parsed[50].message, "and 12 more wrong fields");
}

TEST(ProblemsTest, SentenceWithAColonHasNoPath) {
  const auto parsed = ProblemsOf("there is no class: make one");
  ASSERT_EQ(parsed.size(), 1u);
  EXPECT_EQ(parsed[0].path, "");
}

TEST(ProblemsTest, PathsGrowByMembers) {
  EXPECT_EQ(Member("", "name"), "name");
  EXPECT_EQ(Member("classes[2]", "name"), "classes[2].name");
}

}  // namespace
}  // namespace sallyport
