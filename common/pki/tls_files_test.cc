#include "common/pki/tls_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "common/pki/testing/raw_certificate.h"
#include "common/pki/testing/test_pki.h"
#include "common/pki/whole_file.h"

namespace sallyport::pki {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::system_clock;
using testing::HasSubstr;

class TlsFilesTest : public testing::Test {
 protected:
  static std::string Error(const std::string& dir, Side side, Time now = system_clock::now()) {
    return std::string(LoadTlsDirectory(dir, side, now).status().message());
  }
  void Write(const std::string& file, const std::string& content) {
    ASSERT_TRUE(WriteWholeFile(dir_ + "/" + file, content, 0600).ok());
  }
  std::unique_ptr<TlsFiles> Open() { return *TlsFiles::Open(dir_, Side::kClient, milliseconds(0)); }

  TestPki pki_;
  const std::string dir_ = pki_.Issue("alice", Role::kAdmin, {"alice"});
};

TEST_F(TlsFilesTest, Loads) {
  const auto material = LoadTlsDirectory(dir_, Side::kClient, system_clock::now());
  ASSERT_TRUE(material.ok()) << material.status();
  EXPECT_EQ((*material)->identity.ToString(), "admin alice");
}

TEST_F(TlsFilesTest, RolesHaveSides) {
  EXPECT_THAT(Error(dir_, Side::kServer), HasSubstr("needs one of role server"));
  const std::string server = pki_.Issue("cp", Role::kServer, {"cp"});
  EXPECT_EQ(Error(server, Side::kServer), "");
  EXPECT_THAT(Error(server, Side::kClient), HasSubstr("role server is for sallyportd"));
}

TEST_F(TlsFilesTest, MissingFilesAreNamed) {
  for (const char* file : {"tls.crt", "tls.key", "ca.crt"}) {
    const std::string dir = pki_.Issue(file, Role::kAdmin, {"x"});
    std::filesystem::remove(dir + "/" + file);
    EXPECT_THAT(Error(dir, Side::kClient), HasSubstr(dir + "/" + file + ": No such file"));
  }
}

TEST_F(TlsFilesTest, KeysOfEverybodyAreRefused) {
  ::chmod((dir_ + "/tls.key").c_str(), 0644);
  EXPECT_THAT(Error(dir_, Side::kClient), HasSubstr("chmod 600"));
  ::chmod((dir_ + "/tls.key").c_str(), 0640);
  EXPECT_EQ(Error(dir_, Side::kClient), "");
}

TEST_F(TlsFilesTest, WhatDoesNotFitIsRefused) {
  Write("tls.key", pki_.Make(Role::kAdmin, {"alice"}).key_pem);
  EXPECT_THAT(Error(dir_, Side::kClient), HasSubstr("not the key of tls.crt"));
  Write("tls.key", "");
  EXPECT_THAT(Error(dir_, Side::kClient), HasSubstr("holds no key"));
  Write("tls.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  EXPECT_THAT(Error(dir_, Side::kClient), HasSubstr("tls.crt holds"));
  pki_.Issue("alice", Role::kAdmin, {"alice"});
  Write("ca.crt", MakeAuthority(hours(1), system_clock::now())->certificate_pem);
  EXPECT_THAT(Error(dir_, Side::kClient), HasSubstr("not accepted by ca.crt"));
}

TEST_F(TlsFilesTest, ListsThatCannotBeReadAreRefused) {
  Write("crl.pem", "");
  EXPECT_THAT(Error(dir_, Side::kClient), HasSubstr("crl.pem is empty"));
  Write("crl.pem", "nonsense");
  EXPECT_THAT(Error(dir_, Side::kClient), HasSubstr("crl.pem holds no"));
  std::filesystem::remove(dir_ + "/crl.pem");
  std::filesystem::create_symlink("crl.pem", dir_ + "/crl.pem");
  EXPECT_THAT(Error(dir_, Side::kClient), HasSubstr("crl.pem"));
}

TEST_F(TlsFilesTest, AWrongClockIsNamed) {
  EXPECT_THAT(Error(dir_, Side::kClient, system_clock::now() - hours(48)),
              HasSubstr("set the clock"));
  EXPECT_THAT(Error(dir_, Side::kClient, system_clock::now() + hours(48)),
              HasSubstr("has expired"));
}

TEST_F(TlsFilesTest, NewFilesAreTakenIn) {
  const auto files = Open();
  const std::string before = files->Current()->certificate.serial();
  EXPECT_EQ(files->Current()->certificate.serial(), before);
  pki_.Issue("alice", Role::kAdmin, {"alice"});
  EXPECT_NE(files->Current()->certificate.serial(), before);
}

TEST_F(TlsFilesTest, AHalfWrittenPairIsNotTakenIn) {
  const auto files = Open();
  const std::string before = files->Current()->certificate.serial();
  const CertificateAndKey next = pki_.Make(Role::kAdmin, {"alice"});
  Write("tls.key", next.key_pem);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(files->Current()->certificate.serial(), before);
  Write("tls.crt", next.certificate_pem.substr(0, 100));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(files->Current()->certificate.serial(), before);
  std::filesystem::remove(dir_ + "/tls.crt");
  EXPECT_EQ(files->Current()->certificate.serial(), before);
  Write("tls.crt", next.certificate_pem);
  EXPECT_EQ(files->Current()->certificate.serial(),
            Certificate::FromPem(next.certificate_pem)->serial());
}

TEST_F(TlsFilesTest, AnotherRoleIsNotTakenIn) {
  const auto files = Open();
  const std::string before = files->Current()->certificate.serial();
  pki_.Issue("alice", Role::kServer, {"cp"});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(files->Current()->certificate.serial(), before);
}

TEST_F(TlsFilesTest, ListsAreTakenIn) {
  const auto files = Open();
  const std::string other = pki_.Issue("bob", Role::kAdmin, {"bob"});
  const auto bob = Certificate::FromPem(*ReadWholeFile(other + "/tls.crt"));
  EXPECT_TRUE(files->Current()->trust.CheckRevoked("it", *bob).ok());
  pki_.Revoke("bob", "alice");
  EXPECT_FALSE(files->Current()->trust.CheckRevoked("it", *bob).ok());
}

}  // namespace
}  // namespace sallyport::pki
