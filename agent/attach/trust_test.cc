#include "agent/attach/trust.h"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace sallyport::agent {
namespace {

class TrustTest : public testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& content) {
    const std::string path = root_ + name;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << content;
    return path;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  std::string root_ = [] {
    std::string made = testing::TempDir() + "/trust.XXXXXX";
    return std::string(mkdtemp(made.data()));
  }();
};

TEST_F(TrustTest, TheBundleIsTheSystemsRootsAndTheCa) {
  const std::string system = Write("/roots.pem", "root\n");
  EXPECT_EQ(MakeTrustBundle("ca\n", system).value(), "root\nca\n");
}

TEST_F(TrustTest, ALastLineWithoutEndDoesNotRunIntoTheCa) {
  const std::string system = Write("/roots.pem", "root");
  EXPECT_EQ(MakeTrustBundle("ca", system).value(), "root\nca\n");
}

TEST_F(TrustTest, WithoutSystemRootsItIsTheCa) {
  EXPECT_EQ(MakeTrustBundle("ca\n", "").value(), "ca\n");
}

TEST_F(TrustTest, AMissingFileIsNotFound) {
  EXPECT_EQ(MakeTrustBundle("ca", root_ + "/none").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(TrustTest, FindsTheFirstPlace) {
  EXPECT_EQ(FindSystemBundle(root_).status().code(), absl::StatusCode::kNotFound);
  const std::string suse = Write("/etc/ssl/ca-bundle.pem", "");
  EXPECT_EQ(FindSystemBundle(root_).value(), suse);
  const std::string debian = Write("/etc/ssl/certs/ca-certificates.crt", "");
  EXPECT_EQ(FindSystemBundle(root_).value(), debian);
}

}  // namespace
}  // namespace sallyport::agent
