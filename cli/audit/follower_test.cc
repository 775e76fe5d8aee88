#include "cli/audit/follower.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

namespace sallyport::cli {
namespace {

using Lines = std::vector<std::string>;

class FollowerTest : public testing::Test {
 protected:
  FollowerTest() {
    folder_ =
        testing::TempDir() + "/" + testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directory(folder_);
    path_ = folder_ + "/audit.jsonl";
  }

  void Append(const std::string& text) { std::ofstream(path_, std::ios::app) << text; }
  FileFollower Follow() {
    absl::StatusOr<FileFollower> follower = FileFollower::Open(path_);
    EXPECT_TRUE(follower.ok()) << follower.status();
    return *std::move(follower);
  }
  static bool Announced(const FileFollower& follower) {
    pollfd wait = {follower.wait_fd(), POLLIN, 0};
    return poll(&wait, 1, 0) == 1;
  }

  std::string folder_;
  std::string path_;
};

TEST_F(FollowerTest, ReadsWholeLinesAsTheyCome) {
  Append("one\ntw");
  FileFollower follower = Follow();
  EXPECT_EQ(follower.Read(), Lines{"one"});
  EXPECT_FALSE(Announced(follower));
  Append("o\n\nthree");
  EXPECT_TRUE(Announced(follower));
  EXPECT_EQ(follower.Read(), (Lines{"two", ""}));
  Append("\n");
  EXPECT_EQ(follower.Read(), Lines{"three"});
}

TEST_F(FollowerTest, WaitsForAFileThatIsNotThereYet) {
  FileFollower follower = Follow();
  EXPECT_EQ(follower.Read(), Lines{});
  Append("one\n");
  EXPECT_TRUE(Announced(follower));
  EXPECT_EQ(follower.Read(), Lines{"one"});
}

TEST_F(FollowerTest, LosesNothingWhenTheFileIsRotated) {
  Append("one\n");
  FileFollower follower = Follow();
  EXPECT_EQ(follower.Read(), Lines{"one"});
  Append("two\n");
  std::filesystem::rename(path_, path_ + ".1");
  std::ofstream(path_ + ".1", std::ios::app) << "three\n";
  Append("four\n");
  EXPECT_TRUE(Announced(follower));
  EXPECT_EQ(follower.Read(), (Lines{"two", "three", "four"}));
}

TEST_F(FollowerTest, BeginsAgainWhenTheFileIsTruncated) {
  Append("one\ntwo\npart");
  FileFollower follower = Follow();
  EXPECT_EQ(follower.Read(), (Lines{"one", "two"}));
  std::filesystem::resize_file(path_, 0);
  Append("three\n");
  EXPECT_EQ(follower.Read(), Lines{"three"});
}

TEST_F(FollowerTest, ReadsOnlyTheEndOfALargeFile) {
  const std::string line(1023, 'x');
  std::string text;
  for (int i = 0; i < 5000; ++i) text += line + "\n";
  Append(text + "last\n");
  FileFollower follower = Follow();
  const Lines lines = follower.Read();
  EXPECT_LT(lines.size(), 4097u);
  EXPECT_GT(lines.size(), 4000u);
  EXPECT_EQ(lines.front(), line);
  EXPECT_EQ(lines.back(), "last");
}

TEST_F(FollowerTest, ThrowsAwayALineWithoutEnd) {
  FileFollower follower = Follow();
  EXPECT_EQ(follower.Read(), Lines{});
  Append(std::string(5 << 20, 'x'));
  EXPECT_EQ(follower.Read(), Lines{});
  Append("x\nnext\n");
  EXPECT_EQ(follower.Read(), Lines{"next"});
}

TEST(FollowerOpenTest, NoFolder) {
  EXPECT_EQ(FileFollower::Open("/none/audit.jsonl").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace sallyport::cli
