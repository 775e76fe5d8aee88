#include "agent/proxy/tls/origin_certificate.h"

#include <openssl/mem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <string>
#include <string_view>

#include "agent/proxy/tls/stapled_ocsp.h"

namespace sallyport::proxy {
namespace {

std::string SerialNumberOf(const X509* certificate) {
  uint8_t* data = nullptr;
  const int size = i2d_ASN1_INTEGER(X509_get0_serialNumber(certificate), &data);
  const bssl::UniquePtr<uint8_t> owner(data);
  return size < 0 ? std::string()
                  : std::string(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
}

bool IsSelfIssued(const X509* certificate) {
  return X509_NAME_cmp(X509_get_subject_name(certificate), X509_get_issuer_name(certificate)) == 0;
}

}  // namespace

absl::Status CheckOriginCertificate(const SSL* ssl) {
  const bssl::UniquePtr<X509> certificate(SSL_get_peer_certificate(ssl));
  if (certificate == nullptr) return absl::UnauthenticatedError("there is none");
  if (X509_check_ca(certificate.get()) == 1 && !IsSelfIssued(certificate.get())) {
    return absl::UnauthenticatedError("it is a CA's, not a server's");
  }
  const uint8_t* response = nullptr;
  size_t size = 0;
  SSL_get0_ocsp_response(ssl, &response, &size);
  if (size != 0 && SaysRevoked({reinterpret_cast<const char*>(response), size},
                               SerialNumberOf(certificate.get()))) {
    return absl::UnauthenticatedError("it has been revoked, as the origin's OCSP response says");
  }
  return absl::OkStatus();
}

}  // namespace sallyport::proxy
