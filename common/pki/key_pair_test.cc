#include "common/pki/key_pair.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "common/pki/testing/test_pki.h"
#include "common/pki/whole_file.h"

namespace sallyport::pki {
namespace {

using testing::HasSubstr;

class KeyPairTest : public testing::Test {
 protected:
  std::string Error() const {
    return std::string(ReadKeyPair(dir_ + "/tls.crt", dir_ + "/tls.key").status().message());
  }

  TestPki pki_;
  const std::string dir_ = pki_.Issue("host-7", Role::kAgent, {"host-7"});
};

TEST_F(KeyPairTest, IsRead) {
  const auto pair = ReadKeyPair(dir_ + "/tls.crt", dir_ + "/tls.key");
  ASSERT_TRUE(pair.ok()) << pair.status();
  EXPECT_EQ(pair->certificate_chain, *ReadWholeFile(dir_ + "/tls.crt"));
  EXPECT_EQ(pair->private_key, *ReadWholeFile(dir_ + "/tls.key"));
}

TEST_F(KeyPairTest, WhatIsWrongIsNamed) {
  ASSERT_EQ(::chmod((dir_ + "/tls.key").c_str(), 0644), 0);
  EXPECT_THAT(Error(), HasSubstr("/tls.key is open to every user of this machine; chmod 600 it"));
  ASSERT_EQ(::chmod((dir_ + "/tls.key").c_str(), 0600), 0);
  EXPECT_EQ(Error(), "");

  const std::string other = pki_.Issue("host-8", Role::kAgent, {"host-8"});
  std::filesystem::copy_file(other + "/tls.key", dir_ + "/tls.key",
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(Error(), HasSubstr("/tls.key is not the key of "));
  ASSERT_TRUE(WriteWholeFile(dir_ + "/tls.key", "nonsense", 0600).ok());
  EXPECT_THAT(Error(), HasSubstr("/tls.key holds no key (PEM)"));
  ASSERT_TRUE(WriteWholeFile(dir_ + "/tls.crt", "nonsense", 0600).ok());
  EXPECT_THAT(Error(), HasSubstr("/tls.crt holds no certificate (PEM)"));
  std::filesystem::remove(dir_ + "/tls.key");
  EXPECT_THAT(Error(), HasSubstr("/tls.key is not there"));
}

}  // namespace
}  // namespace sallyport::pki
