// Certificates as our CA would never issue them.

#ifndef SALLYPORT_COMMON_PKI_TESTING_RAW_CERTIFICATE_H_
#define SALLYPORT_COMMON_PKI_TESTING_RAW_CERTIFICATE_H_

#include <chrono>
#include <string>

#include "common/pki/authority.h"

namespace sallyport::pki {

struct RawCertificate {
  std::string common_name = "raw";
  std::string
      alternative_names;  // "URI:…,DNS:…", as OpenSSL's configuration writes it; empty: none.
  std::string usage = "clientAuth";  // Extended; empty: none.
  Time not_before = std::chrono::system_clock::now() - std::chrono::hours(1);
  Time not_after = std::chrono::system_clock::now() + std::chrono::hours(1);
  bool authority = false;
};

CertificateAndKey SignRaw(const CertificateAndKey& authority, const RawCertificate& raw);

}  // namespace sallyport::pki

#endif  // SALLYPORT_COMMON_PKI_TESTING_RAW_CERTIFICATE_H_
