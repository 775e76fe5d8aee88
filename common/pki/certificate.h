// One certificate, as we look at it.

#ifndef SALLYPORT_COMMON_PKI_CERTIFICATE_H_
#define SALLYPORT_COMMON_PKI_CERTIFICATE_H_

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/pki/identity.h"

typedef struct x509_st X509;

namespace sallyport::pki {

using Time = std::chrono::system_clock::time_point;

// "2026-05-01 12:00 UTC".
std::string FormatTime(Time time);

// Immutable; copies share.
class Certificate {
 public:
  // The first certificate of a PEM text.
  static absl::StatusOr<Certificate> FromPem(std::string_view pem);

  X509* get() const { return x509_.get(); }
  Time not_before() const { return not_before_; }
  Time not_after() const { return not_after_; }
  const std::string& issuer() const { return issuer_; }  // DER.
  const std::string& serial() const { return serial_; }  // Hexadecimal.

  // Strict: exactly one role, and the extended key usage must name what the role is for: serverAuth
  // for servers, clientAuth for all others. UNAUTHENTICATED otherwise. The common name and the
  // other alternative names are not looked at.
  absl::StatusOr<Identity> identity() const;

  // UNAUTHENTICATED, with the clock's reading in the message, before and after the validity.
  absl::Status CheckTime(std::string_view whose, Time now) const;

  // Whether the certificate names this host, a DNS name or an address: the alternative names only.
  bool CoversHost(const std::string& host) const;

  // "DNS:cp.internal", "IP:192.0.2.1": the alternative names that are no URIs.
  std::vector<std::string> hosts() const;
  bool is_authority() const;

 private:
  std::shared_ptr<X509> x509_;
  Time not_before_;
  Time not_after_;
  std::string issuer_;
  std::string serial_;
};

}  // namespace sallyport::pki

#endif  // SALLYPORT_COMMON_PKI_CERTIFICATE_H_
