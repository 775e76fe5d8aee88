#include "agent/attach/run_directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "gtest/gtest.h"

namespace sallyport::agent {
namespace {

namespace fs = std::filesystem;

class RunDirectoryTest : public testing::Test {
 protected:
  static std::string MakeTemporary(std::string pattern) { return mkdtemp(pattern.data()); }
  void TearDown() override { fs::remove_all(path_); }
  std::unique_ptr<RunDirectory> Open(const std::string& path) {
    absl::StatusOr<std::unique_ptr<RunDirectory>> directory = RunDirectory::Open(path);
    EXPECT_TRUE(directory.ok()) << directory.status();
    return *std::move(directory);
  }
  static mode_t ModeOf(const std::string& path) {
    struct stat file{};
    EXPECT_EQ(stat(path.c_str(), &file), 0) << path;
    return file.st_mode & 0777;
  }

  const std::string path_ = MakeTemporary(testing::TempDir() + "/run.XXXXXX");
  const CertificateAuthority authority_ =
      MakeCertificateAuthority("web-1", std::chrono::system_clock::from_time_t(1'700'000'000))
          .value();
};

TEST_F(RunDirectoryTest, HasTheCertificateAndNoKey) {
  auto directory = Open(path_);
  ASSERT_TRUE(directory->Store("web-1", authority_).ok());
  EXPECT_EQ(ModeOf(path_ + "/containers/web-1/ca.crt"), 0644u);
  const fs::directory_iterator files(path_ + "/containers/web-1");
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

TEST_F(RunDirectoryTest, DestroyRemovesEverythingOfOneContainer) {
  auto directory = Open(path_);
  ASSERT_TRUE(directory->Store("web-1", authority_).ok());
  ASSERT_TRUE(directory->Store("web-2", authority_).ok());
  directory->Destroy("web-1");
  EXPECT_FALSE(fs::exists(path_ + "/containers/web-1"));
  EXPECT_TRUE(fs::exists(path_ + "/containers/web-2"));
}

TEST_F(RunDirectoryTest, NothingOutlivesTheAgent) {
  auto directory = Open(path_);
  ASSERT_TRUE(directory->Store("web-1", authority_).ok());
  directory.reset();
  EXPECT_TRUE(fs::is_empty(path_));
}

TEST_F(RunDirectoryTest, WhatAnAgentBeforeLeftIsRemoved) {
  fs::create_directories(path_ + "/containers/old");
  std::ofstream(path_ + "/containers/old/ca.crt") << "old";
  auto directory = Open(path_);
  EXPECT_TRUE(fs::is_empty(path_ + "/containers"));
}

TEST_F(RunDirectoryTest, OneAgentHasIt) {
  auto directory = Open(path_);
  ASSERT_TRUE(directory->Store("web-1", authority_).ok());
  EXPECT_EQ(RunDirectory::Open(path_).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(fs::exists(path_ + "/containers/web-1/ca.crt"));
  directory.reset();
  EXPECT_TRUE(RunDirectory::Open(path_).ok());
}

TEST_F(RunDirectoryTest, OfWhatAnAgentBeforeLeftWhatIsStillAttachedStays) {
  for (const char* id : {"old", "web-1"}) fs::create_directories(path_ + "/containers/" + id);
  std::ofstream(path_ + "/containers/web-1/ca.crt") << "kept";
  auto directory = *RunDirectory::Open(path_, {"web-1"});
  EXPECT_FALSE(fs::exists(path_ + "/containers/old"));
  EXPECT_TRUE(fs::exists(path_ + "/containers/web-1/ca.crt"));
  directory.reset();
  EXPECT_TRUE(fs::is_empty(path_));
}

}  // namespace
}  // namespace sallyport::agent
