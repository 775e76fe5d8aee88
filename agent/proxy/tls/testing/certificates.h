// Certificates of every kind, good and bad, made in tests.

#ifndef SALLYPORT_AGENT_PROXY_TLS_TESTING_CERTIFICATES_H_
#define SALLYPORT_AGENT_PROXY_TLS_TESTING_CERTIFICATES_H_

#include <openssl/evp.h>
#include <openssl/nid.h>
#include <openssl/x509.h>

#include <ctime>
#include <optional>
#include <string>
#include <vector>

namespace sallyport::proxy {

// Beyond any clock that a test runs under.
inline constexpr time_t kLongAgo = 946684800;     // 2000-01-01
inline constexpr time_t kFarFuture = 4102444800;  // 2100-01-01

inline constexpr int kDigitalSignature = 0, kKeyCertSign = 5, kCrlSign = 6;

struct CertificateSpec {
  std::string common_name = {};             // Empty: an empty subject.
  std::vector<std::string> dns_names = {};  // As they are put in, NUL bytes and all.
  std::vector<std::string> addresses = {};  // 4 or 16 bytes.
  bool is_ca = false;
  std::optional<int> path_length = {};
  std::optional<int> extended_key_usage = {};  // NID.
  // Bits of RFC 5280 section 4.2.1.3; none: no such extension. The default suits `is_ca`.
  std::optional<std::vector<int>> key_usage = {};
  std::string permitted_dns = {};  // A name constraint, if not empty.
  time_t not_before = kLongAgo;
  time_t not_after = kFarFuture;
};

// A certificate and its key.
struct Identity {
  bssl::UniquePtr<X509> certificate;
  bssl::UniquePtr<EVP_PKEY> key;

  std::string CertificateDer() const;
  std::string CertificatePem() const;
  std::string KeyDer() const;  // RFC 5915.
};

Identity MakeSelfSigned(const CertificateSpec& spec);
Identity MakeIssued(const Identity& issuer, const CertificateSpec& spec);
// A root CA as the agent makes one for a container.
Identity MakeRoot(const std::string& common_name);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TLS_TESTING_CERTIFICATES_H_
