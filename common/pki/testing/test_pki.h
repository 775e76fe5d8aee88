// A CA in a directory of its own, and directories as --tls-dir takes them.

#ifndef SALLYPORT_COMMON_PKI_TESTING_TEST_PKI_H_
#define SALLYPORT_COMMON_PKI_TESTING_TEST_PKI_H_

#include <chrono>
#include <string>
#include <vector>

#include "common/pki/authority.h"
#include "common/pki/identity.h"

namespace sallyport::pki {

// Not thread-safe. What it does must succeed.
class TestPki {
 public:
  TestPki();
  ~TestPki();

  const CertificateAndKey& authority() const { return authority_; }
  // DIR/NAME.
  std::string Path(const std::string& name) const { return dir_ + "/" + name; }

  // Makes, or replaces, tls.crt, tls.key and ca.crt in Path(name); a server is for 127.0.0.1.
  // Returns the path.
  std::string Issue(const std::string& name, Role role, const std::vector<std::string>& names);
  // The same, of any pair.
  std::string Put(const std::string& name, const CertificateAndKey& pair);
  CertificateAndKey Make(Role role, const std::vector<std::string>& names) const;
  // Adds the certificate of Path(name) to the list in Path(where).
  void Revoke(const std::string& name, const std::string& where);

 private:
  std::string dir_;
  CertificateAndKey authority_;
};

}  // namespace sallyport::pki

#endif  // SALLYPORT_COMMON_PKI_TESTING_TEST_PKI_H_
