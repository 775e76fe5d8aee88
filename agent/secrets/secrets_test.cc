#include "agent/secrets/secrets.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "agent/secrets/secret_file.h"

namespace sallyport::agent {
namespace {

namespace fs = std::filesystem;

class SecretsTest : public testing::Test {
 protected:
  SecretsTest() {
    fs::remove_all(root_);
    fs::create_directories(directory_);
  }
  void Write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }
  // The value, or "! " and the problem.
  std::string Read(const std::string& file) {
    const auto secret = ReadSecretFile(directory_, file);
    return secret.ok() ? *secret : "! " + std::string(secret.status().message());
  }

  const std::string root_ = testing::TempDir() + "/secrets";
  const std::string directory_ = root_ + "/dir";
};

TEST_F(SecretsTest, ReadsFilesWithoutTheirLastLineBreak) {
  Write(directory_ + "/a", "token\n");
  Write(directory_ + "/b", "token\r\n");
  Write(directory_ + "/c", "token");
  fs::create_directory(directory_ + "/..data");
  Write(directory_ + "/..data/d", "projected");
  fs::create_symlink("..data/d", directory_ + "/d");
  EXPECT_EQ(Read("a"), "token");
  EXPECT_EQ(Read("b"), "token");
  EXPECT_EQ(Read(directory_ + "/c"), "token");
  EXPECT_EQ(Read("d"), "projected");
}

TEST_F(SecretsTest, NeverLeavesItsDirectory) {
  Write(root_ + "/outside", "root:x");
  fs::create_symlink("../outside", directory_ + "/link");
  fs::create_symlink(root_ + "/outside", directory_ + "/absolute");
  EXPECT_EQ(Read("../outside").find("! leads out of "), 0u) << Read("../outside");
  EXPECT_EQ(Read(directory_ + "/../outside").find("! leads out of "), 0u);
  EXPECT_EQ(Read("link").find("! leads out of "), 0u);
  EXPECT_EQ(Read("absolute").find("! leads out of "), 0u);
  EXPECT_EQ(Read(root_ + "/outside").find("! is not below "), 0u);
  EXPECT_EQ(Read("/etc/hostname").find("! is not below "), 0u);
}

TEST_F(SecretsTest, SaysWhatIsWrongAndQuotesNothing) {
  Write(directory_ + "/two", "hunter2\nhunter3\n");
  Write(directory_ + "/empty", "\n");
  Write(directory_ + "/large", std::string(20'000, 'x'));
  ASSERT_EQ(mkfifo((directory_ + "/pipe").c_str(), 0600), 0);
  EXPECT_EQ(Read("two").find("! has white space around it, or a line break"), 0u);
  EXPECT_EQ(Read("two").find("hunter"), std::string::npos);
  EXPECT_EQ(Read("empty"), "! is empty");
  EXPECT_EQ(Read("large"), "! is larger than 16 KiB");
  EXPECT_EQ(Read("pipe"), "! is not a regular file");
  EXPECT_EQ(Read("."), "! is not a regular file");
  EXPECT_EQ(Read("none").find("! cannot be read: No such file"), 0u);
}

v1::Delta SecretDelta(uint64_t revision, const std::string& name, const std::string& value) {
  v1::Delta delta;
  delta.set_epoch(1);
  delta.set_revision(revision);
  v1::Resource* const resource = delta.add_updated();
  resource->set_revision(revision);
  resource->mutable_secret()->set_name(name);
  resource->mutable_secret()->set_value(value);
  return delta;
}

TEST_F(SecretsTest, KeepsTheControlPlanesOutOfThePolicy) {
  Secrets secrets(directory_);
  v1::Delta delta = SecretDelta(7, "github", "hunter2");
  delta.add_updated()->mutable_class_()->set_name("c");
  v1::ResourceKey* const removed = delta.add_removed();
  removed->set_kind(v1::RESOURCE_KIND_CONTAINER);
  removed->set_name("web-1");
  bool changed = false;
  const v1::Delta policy = secrets.Take(delta, &changed);
  EXPECT_TRUE(changed);
  EXPECT_EQ(policy.revision(), 7u);
  EXPECT_EQ(policy.updated_size(), 1);
  EXPECT_EQ(policy.removed_size(), 1);
  EXPECT_EQ(policy.SerializeAsString().find("hunter2"), std::string::npos);

  v1::Hello hello;
  secrets.FillHello(&hello);
  ASSERT_EQ(hello.known_size(), 1);
  EXPECT_EQ(hello.known(0).key().name(), "github");
  EXPECT_EQ(hello.known(0).revision(), 7u);
}

TEST_F(SecretsTest, ResolvesEachReferenceOnce) {
  Secrets secrets(directory_);
  bool changed = false;
  secrets.Take(SecretDelta(7, "github", "hunter2"), &changed);
  Write(directory_ + "/a", "from-file");
  setenv("SALLYPORT_TEST_TOKEN", "from-env", 1);
  std::vector<v1::SecretReference> references(6);
  references[0].set_file("a");
  references[1].set_env("SALLYPORT_TEST_TOKEN");
  references[2].set_secret("github");
  references[3].set_secret("github");
  references[4].set_secret("none");
  references[5].set_env("SALLYPORT_TEST_NONE");
  const internal::SecretValues values = secrets.Resolve(references);
  ASSERT_EQ(values.entries_size(), 5);
  EXPECT_EQ(values.entries(0).value(), "from-file");
  EXPECT_EQ(values.entries(1).value(), "from-env");
  EXPECT_EQ(values.entries(2).value(), "hunter2");
  EXPECT_NE(values.entries(3).problem().find("has not been heard"), std::string::npos);
  EXPECT_EQ(values.entries(4).problem(), "is not in the agent's environment");
}

TEST_F(SecretsTest, ForgetsWhatIsRemovedAndEverythingAtAReset) {
  Secrets secrets(directory_);
  bool changed = false;
  secrets.Take(SecretDelta(1, "a", "x"), &changed);
  secrets.Take(SecretDelta(2, "b", "y"), &changed);
  v1::Delta gone;
  gone.add_removed()->set_kind(v1::RESOURCE_KIND_SECRET);
  gone.mutable_removed(0)->set_name("a");
  EXPECT_EQ(secrets.Take(gone, &changed).removed_size(), 0);
  v1::Hello hello;
  secrets.FillHello(&hello);
  EXPECT_EQ(hello.known_size(), 1);
  v1::Delta reset;
  reset.set_reset(true);
  secrets.Take(reset, &changed);
  EXPECT_TRUE(changed);
  hello.clear_known();
  secrets.FillHello(&hello);
  EXPECT_EQ(hello.known_size(), 0);
}

}  // namespace
}  // namespace sallyport::agent
