#include "common/pki/certificate.h"

#include <arpa/inet.h>

#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/pki/openssl.h"

namespace sallyport::pki {
namespace {

std::string TextOf(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<size_t>(ASN1_STRING_length(string))};
}

NamesPtr AlternativeNames(const X509* certificate) {
  return NamesPtr(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
}

std::string AddressOf(const ASN1_OCTET_STRING* octets) {
  char text[INET6_ADDRSTRLEN] = "?";
  const int length = ASN1_STRING_length(octets);
  if (length == 4 || length == 16) {
    inet_ntop(length == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(octets), text, sizeof(text));
  }
  return text;
}

}  // namespace

std::string FormatTime(Time time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm parts = {};
  gmtime_r(&seconds, &parts);
  return absl::StrFormat("%04d-%02d-%02d %02d:%02d UTC", parts.tm_year + 1900, parts.tm_mon + 1,
                         parts.tm_mday, parts.tm_hour, parts.tm_min);
}

absl::StatusOr<Certificate> Certificate::FromPem(std::string_view pem) {
  ASSIGN_OR_RETURN(std::vector<X509Ptr> all, CertificatesOf(pem));
  Certificate certificate;
  certificate.x509_ = std::shared_ptr<X509>(all[0].release(), X509_free);
  X509* const x509 = certificate.x509_.get();
  certificate.not_before_ = ToTime(X509_get0_notBefore(x509));
  certificate.not_after_ = ToTime(X509_get0_notAfter(x509));
  certificate.serial_ = HexOf(X509_get0_serialNumber(x509));
  certificate.issuer_ = BytesOf(X509_get_issuer_name(x509));
  return certificate;
}

absl::StatusOr<Identity> Certificate::identity() const {
  std::vector<std::string> uris;
  if (const NamesPtr names = AlternativeNames(x509_.get())) {
    for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
      const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
      if (name->type == GEN_URI) uris.push_back(TextOf(name->d.uniformResourceIdentifier));
    }
  }
  ASSIGN_OR_RETURN(Identity identity, ParseIdentity(uris));
  if (is_authority()) {
    return absl::UnauthenticatedError("the certificate is a CA's, and nobody's identity");
  }
  const bool server = identity.role == Role::kServer;
  const bool has_usage = (X509_get_extension_flags(x509_.get()) & EXFLAG_XKUSAGE) != 0;
  const uint32_t usage = has_usage ? X509_get_extended_key_usage(x509_.get()) : 0;
  if ((usage & (server ? XKU_SSL_SERVER : XKU_SSL_CLIENT)) == 0) {
    return absl::UnauthenticatedError(StrCat("the certificate's extended key usage lacks ",
                                             server ? "serverAuth" : "clientAuth", ", which role ",
                                             RoleName(identity.role), " needs"));
  }
  return identity;
}

absl::Status Certificate::CheckTime(std::string_view whose, Time now) const {
  if (now < not_before_) {
    return absl::UnauthenticatedError(StrCat(whose, " is not valid before ",
                                             FormatTime(not_before_), ", and this machine's ",
                                             "clock says ", FormatTime(now), "; set the clock"));
  }
  if (now > not_after_) {
    return absl::UnauthenticatedError(StrCat(whose, " has expired on ", FormatTime(not_after_),
                                             " (this machine's clock says ", FormatTime(now),
                                             "); issue another with `sallyport pki issue`"));
  }
  return absl::OkStatus();
}

bool Certificate::CoversHost(const std::string& host) const {
  // Also refuses names with a NUL in them: the length is given.
  constexpr unsigned kFlags = X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_WILDCARDS;
  return X509_check_host(x509_.get(), host.data(), host.size(), kFlags, nullptr) == 1 ||
         X509_check_ip_asc(x509_.get(), host.c_str(), 0) == 1;
}

std::vector<std::string> Certificate::hosts() const {
  std::vector<std::string> hosts;
  const NamesPtr names = AlternativeNames(x509_.get());
  for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) hosts.push_back(StrCat("DNS:", TextOf(name->d.dNSName)));
    if (name->type == GEN_IPADD) hosts.push_back(StrCat("IP:", AddressOf(name->d.iPAddress)));
  }
  return hosts;
}

bool Certificate::is_authority() const { return X509_check_ca(x509_.get()) != 0; }

}  // namespace sallyport::pki
