#include "cli/run/certificate_folder.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>
#include <vector>

namespace sallyport::cli {
namespace {

namespace fs = std::filesystem;

class CertificateFolderTest : public testing::Test {
 protected:
  void TearDown() override { fs::remove_all(directory_); }

  const std::string directory_ = [] {
    std::string pattern = testing::TempDir() + "/folder.XXXXXX";
    return std::string(mkdtemp(pattern.data()));
  }();
  const std::string parent_ = directory_ + "/sallyport";
  const std::string path_ = parent_ + "/certs";
};

TEST_F(CertificateFolderTest, IsThereWhileItIsHeld) {
  {
    const auto folder = CertificateFolder::Make(path_);
    ASSERT_TRUE(folder.ok()) << folder.status();
    EXPECT_TRUE(fs::is_directory(path_));
  }
  EXPECT_FALSE(fs::exists(parent_));
  EXPECT_TRUE(fs::exists(directory_));
}

TEST_F(CertificateFolderTest, AParentThatWasThereStays) {
  fs::create_directory(parent_);
  {
    const auto folder = CertificateFolder::Make(path_);
  }
  EXPECT_FALSE(fs::exists(path_));
  EXPECT_TRUE(fs::exists(parent_));
}

TEST_F(CertificateFolderTest, TheLastOneRemovesIt) {
  std::optional<CertificateFolder> first = *CertificateFolder::Make(path_);
  const std::optional<CertificateFolder> second = *CertificateFolder::Make(path_);
  first.reset();
  EXPECT_TRUE(fs::exists(path_));
}

TEST_F(CertificateFolderTest, WhatHoldsFilesStays) {
  fs::create_directories(path_);
  std::ofstream(path_ + "/mine") << "x";
  {
    const auto folder = CertificateFolder::Make(path_);
  }
  EXPECT_TRUE(fs::exists(path_ + "/mine"));
}

TEST_F(CertificateFolderTest, AFileInItsPlaceIsAnError) {
  std::ofstream(parent_) << "x";
  EXPECT_FALSE(CertificateFolder::Make(path_).ok());
}

TEST_F(CertificateFolderTest, ManyAtOnceFindItWhileTheyHoldIt) {
  std::vector<std::thread> users;
  for (int user = 0; user < 4; ++user) {
    users.emplace_back([this] {
      for (int i = 0; i < 300; ++i) {
        const auto folder = CertificateFolder::Make(path_);
        ASSERT_TRUE(folder.ok()) << folder.status();
        ASSERT_TRUE(fs::exists(path_));
      }
    });
  }
  for (std::thread& user : users) user.join();
  EXPECT_FALSE(fs::exists(path_));
}

}  // namespace
}  // namespace sallyport::cli
