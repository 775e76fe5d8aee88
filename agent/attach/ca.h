// A container's own certificate authority.

#ifndef SALLYPORT_AGENT_ATTACH_CA_H_
#define SALLYPORT_AGENT_ATTACH_CA_H_

#include <chrono>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace sallyport::agent {

// A value; wipes its key when it goes.
struct CertificateAuthority {
  std::string certificate_pem;
  std::string certificate_der;
  std::string private_key_der;  // EC P-256, RFC 5915.

  CertificateAuthority() = default;
  CertificateAuthority(CertificateAuthority&&) = default;
  CertificateAuthority& operator=(CertificateAuthority&&) = default;
  ~CertificateAuthority();
};

// A new key, and a self-signed X.509 v3 certificate for it: ECDSA P-256, CA with no CAs below it,
// for server certificates only; valid from 48 h before `now`, for clocks that are behind, until 30
// days after. Its name is unique.
absl::StatusOr<CertificateAuthority> MakeCertificateAuthority(
    std::string_view container_id, std::chrono::system_clock::time_point now);

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_ATTACH_CA_H_
