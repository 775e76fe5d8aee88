// The CA of a container as a signer of leaf certificates.

#ifndef SALLYPORT_AGENT_PROXY_TLS_CERTIFICATE_AUTHORITY_H_
#define SALLYPORT_AGENT_PROXY_TLS_CERTIFICATE_AUTHORITY_H_

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <ctime>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/net/host.h"

namespace sallyport::proxy {

// A new P-256 key, in locked memory (key_memory.h).
absl::StatusOr<bssl::UniquePtr<EVP_PKEY>> GenerateP256Key();

struct LeafCertificate {
  std::string der;
  time_t not_before = 0;
  time_t not_after = 0;
};

// Immutable.
class CertificateAuthority {
 public:
  // DER: X.509 and RFC 5915. INVALID_ARGUMENT if the two do not belong together, or it is not a CA
  // with a P-256 key and a subject key identifier. The key is in locked memory until this goes.
  static absl::StatusOr<CertificateAuthority> Create(std::string_view certificate,
                                                     std::string_view private_key);

  // See LeafAuthority for the profile. FAILED_PRECONDITION if the CA has expired at `now`.
  absl::StatusOr<LeafCertificate> Mint(const Host& host, EVP_PKEY* leaf_key, time_t now) const;

  time_t not_after() const { return not_after_; }

 private:
  CertificateAuthority() = default;

  bssl::UniquePtr<X509> certificate_;
  bssl::UniquePtr<EVP_PKEY> key_;
  std::string authority_key_id_;  // The extension's value, DER.
  time_t not_after_ = 0;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TLS_CERTIFICATE_AUTHORITY_H_
