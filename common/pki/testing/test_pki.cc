#include "common/pki/testing/test_pki.h"

#include <stdlib.h>

#include <filesystem>

#include "common/base/check.h"
#include "common/pki/whole_file.h"

namespace sallyport::pki {
namespace {

using std::chrono::hours;
using std::chrono::system_clock;

void MustWrite(const std::string& path, const std::string& content, mode_t mode) {
  SALLYPORT_CHECK(WriteWholeFile(path, content, mode).ok());
}

}  // namespace

TestPki::TestPki() {
  std::string name = "/tmp/pki.XXXXXX";
  dir_ = mkdtemp(name.data());
  authority_ = *MakeAuthority(hours(24), system_clock::now());
}

TestPki::~TestPki() { std::filesystem::remove_all(dir_); }

CertificateAndKey TestPki::Make(Role role, const std::vector<std::string>& names) const {
  CertificateRequest request;
  request.identity = *MakeIdentity(role, names);
  if (role == Role::kServer) request.addresses = {"127.0.0.1"};
  request.lifetime = hours(1);
  return *Authority::FromPem(authority_)->Issue(request, system_clock::now());
}

std::string TestPki::Issue(const std::string& name, Role role,
                           const std::vector<std::string>& names) {
  return Put(name, Make(role, names));
}

std::string TestPki::Put(const std::string& name, const CertificateAndKey& pair) {
  const std::string path = Path(name);
  std::filesystem::create_directories(path);
  MustWrite(path + "/ca.crt", authority_.certificate_pem, 0644);
  MustWrite(path + "/tls.key", pair.key_pem, 0600);
  MustWrite(path + "/tls.crt", pair.certificate_pem, 0644);
  return path;
}

void TestPki::Revoke(const std::string& name, const std::string& where) {
  const auto certificate = Certificate::FromPem(*ReadWholeFile(Path(name) + "/tls.crt"));
  const auto list = ReadWholeFile(Path(where) + "/crl.pem");
  const auto revoked = Authority::FromPem(authority_)
                           ->Revoke(list.ok() ? *list : "", {*certificate}, system_clock::now());
  SALLYPORT_CHECK(revoked.ok());
  MustWrite(Path(where) + "/crl.pem", *revoked, 0644);
}

}  // namespace sallyport::pki
