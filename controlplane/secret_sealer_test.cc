#include "controlplane/secret_sealer.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace sallyport {
namespace {

using enum SecretSealer::IfNoKey;

class SecretSealerTest : public testing::Test {
 protected:
  SecretSealerTest() { std::filesystem::remove(path_); }

  std::unique_ptr<SecretSealer> Open() {
    auto sealer = SecretSealer::Open(path_);
    EXPECT_TRUE(sealer.ok()) << sealer.status();
    return sealer.ok() ? *std::move(sealer) : nullptr;
  }
  std::string Key() const {
    std::stringstream text;
    text << std::ifstream(path_).rdbuf();
    return text.str();
  }

  const std::string path_ = testing::TempDir() + "/secrets.key";
};

TEST_F(SecretSealerTest, UnsealsAfterARestartAndHasNothingInPlain) {
  const std::string sealed = *Open()->Seal("github", "hunter2-hunter2", kMake);
  EXPECT_EQ(sealed.find("hunter2"), std::string::npos);
  EXPECT_EQ(*Open()->Unseal("github", sealed), "hunter2-hunter2");
  struct stat info = {};
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(SecretSealerTest, TheSameValueIsSealedAnewEachTime) {
  const auto sealer = Open();
  EXPECT_NE(*sealer->Seal("a", "value", kMake), *sealer->Seal("a", "value", kMake));
}

TEST_F(SecretSealerTest, RefusesAnotherNameAndEveryChange) {
  const auto sealer = Open();
  const std::string sealed = *sealer->Seal("a", "value", kMake);
  EXPECT_EQ(sealer->Unseal("b", sealed).status().code(), absl::StatusCode::kDataLoss);
  for (size_t i = 0; i < sealed.size(); ++i) {
    std::string changed = sealed;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_EQ(sealer->Unseal("a", changed).status().code(), absl::StatusCode::kDataLoss) << i;
    EXPECT_FALSE(sealer->Unseal("a", sealed.substr(0, i)).ok()) << i;
  }
}

TEST_F(SecretSealerTest, MakesNoKeyInPlaceOfOneThatIsLost) {
  const std::string sealed = *Open()->Seal("a", "value", kMake);
  const std::string key = Key();
  std::filesystem::remove(path_);
  const auto sealer = Open();
  const absl::Status refused = sealer->Seal("b", "value", kFail).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(refused.ToString().find(path_), std::string::npos) << refused;
  EXPECT_EQ(sealer->Unseal("a", sealed).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(std::filesystem::exists(path_));
  ASSERT_TRUE(sealer->Seal("a", "value", kMake).ok());
  EXPECT_NE(Key(), key);
  EXPECT_EQ(sealer->Unseal("a", sealed).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(SecretSealerTest, RefusesAFileThatIsNoKeyOrThatOthersRead) {
  std::ofstream(path_) << "sallyport-secrets-key-1 abcd\n";
  chmod(path_.c_str(), 0600);
  EXPECT_EQ(SecretSealer::Open(path_).status().code(), absl::StatusCode::kFailedPrecondition);
  std::filesystem::remove(path_);
  ASSERT_TRUE(Open()->Seal("a", "value", kMake).ok());
  chmod(path_.c_str(), 0640);
  const absl::Status refused = SecretSealer::Open(path_).status();
  EXPECT_NE(refused.ToString().find("chmod 600"), std::string::npos) << refused;
}

}  // namespace
}  // namespace sallyport
