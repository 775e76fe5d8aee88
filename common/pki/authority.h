// A small certificate authority: ECDSA P-256, one level, certificates with roles.

#ifndef SALLYPORT_COMMON_PKI_AUTHORITY_H_
#define SALLYPORT_COMMON_PKI_AUTHORITY_H_

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/pki/certificate.h"
#include "common/pki/identity.h"

typedef struct evp_pkey_st EVP_PKEY;

namespace sallyport::pki {

struct CertificateAndKey {
  std::string certificate_pem;
  std::string key_pem;
};

struct CertificateRequest {
  Identity identity;
  // What clients may dial it by; for servers only.
  std::vector<std::string> dns_names;
  std::vector<std::string> addresses;
  std::chrono::hours lifetime;
};

// Certificates hold from an hour before `now`: clocks differ.
absl::StatusOr<CertificateAndKey> MakeAuthority(std::chrono::hours lifetime, Time now);

// Immutable.
class Authority {
 public:
  // INVALID_ARGUMENT if the two do not belong together, or are no CA's.
  static absl::StatusOr<Authority> FromPem(const CertificateAndKey& pem);

  // Never beyond the CA's own end. INVALID_ARGUMENT says what is wrong with the request.
  absl::StatusOr<CertificateAndKey> Issue(const CertificateRequest& request, Time now) const;

  // The revocation list with these certificates too. `list_pem`: the present one, or empty.
  absl::StatusOr<std::string> Revoke(const std::string& list_pem,
                                     const std::vector<Certificate>& certificates, Time now) const;

 private:
  Certificate certificate_;
  std::shared_ptr<EVP_PKEY> key_;
};

}  // namespace sallyport::pki

#endif  // SALLYPORT_COMMON_PKI_AUTHORITY_H_
