#include "common/pki/authority.h"

#include <arpa/inet.h>

#include <algorithm>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/pki/openssl.h"

namespace sallyport::pki {
namespace {

using std::chrono::system_clock;

constexpr std::chrono::hours kBackdated{1};
// X.520 allows a common name of 64 characters.
constexpr size_t kMaxCommonName = 64;

absl::Status SetSerial(X509* certificate) {
  // RFC 5280, 4.1.2.2: positive, at most 20 bytes.
  const NumberPtr number(BN_new());
  if (number == nullptr || BN_rand(number.get(), 159, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) != 1 ||
      BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) == nullptr) {
    return CryptoError("serial number");
  }
  return absl::OkStatus();
}

absl::Status SetSubject(X509* certificate, std::string_view common_name) {
  common_name = common_name.substr(0, kMaxCommonName);
  if (X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate), NID_commonName, MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(common_name.data()),
                                 static_cast<int>(common_name.size()), -1, 0) != 1) {
    return CryptoError("name");
  }
  return absl::OkStatus();
}

absl::Status SetValidity(X509* certificate, Time not_before, Time not_after) {
  if (ASN1_TIME_set(X509_getm_notBefore(certificate), system_clock::to_time_t(not_before)) ==
          nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(certificate), system_clock::to_time_t(not_after)) ==
          nullptr) {
    return CryptoError("validity");
  }
  return absl::OkStatus();
}

absl::Status AddExtension(X509* issuer, X509* certificate, int id, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
  if (extension == nullptr || X509_add_ext(certificate, extension.get(), -1) != 1) {
    return CryptoError(OBJ_nid2sn(id));
  }
  return absl::OkStatus();
}

bool IsDnsName(const std::string& name) {
  return !name.empty() && name.size() <= 253 && absl::ascii_isalnum(name.front()) &&
         absl::ascii_isalnum(name.back()) && std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
         });
}

bool IsAddress(const std::string& text) {
  unsigned char address[16];
  return inet_pton(AF_INET, text.c_str(), address) == 1 ||
         inet_pton(AF_INET6, text.c_str(), address) == 1;
}

// All that goes into it is checked here: the result is read by OpenSSL's own small language.
absl::StatusOr<std::string> AlternativeNames(const CertificateRequest& request) {
  std::vector<std::string> names;
  for (const std::string& uri : request.identity.ToUris()) names.push_back(StrCat("URI:", uri));
  for (const std::string& name : request.dns_names) {
    if (!IsDnsName(name)) {
      return absl::InvalidArgumentError(StrCat("--dns ", Quote(name), " is no DNS name"));
    }
    names.push_back(StrCat("DNS:", name));
  }
  for (const std::string& address : request.addresses) {
    if (!IsAddress(address)) {
      return absl::InvalidArgumentError(
          StrCat("--ip ", Quote(address), " is no address; write one such as 192.0.2.1"));
    }
    names.push_back(StrCat("IP:", address));
  }
  const bool server = request.identity.role == Role::kServer;
  const bool has_hosts = names.size() > request.identity.names.size();
  if (server && !has_hosts) {
    return absl::InvalidArgumentError(
        "a server's certificate needs what agents dial it by: give --dns NAME or --ip ADDRESS");
  }
  if (!server && has_hosts) {
    return absl::InvalidArgumentError(
        "--dns and --ip are for role server: nobody dials the others");
  }
  return absl::StrJoin(names, ",");
}

absl::StatusOr<CertificateAndKey> Encode(const X509& certificate, const EVP_PKEY& key) {
  CertificateAndKey result;
  ASSIGN_OR_RETURN(result.certificate_pem,
                   ToPem([&](BIO* out) { return PEM_write_bio_X509(out, &certificate); }));
  ASSIGN_OR_RETURN(result.key_pem, ToPem([&](BIO* out) {
                     return PEM_write_bio_PKCS8PrivateKey(out, &key, nullptr, nullptr, 0, nullptr,
                                                          nullptr);
                   }));
  return result;
}

absl::StatusOr<X509Ptr> NewCertificate(const EVP_PKEY* key) {
  X509Ptr certificate(X509_new());
  if (certificate == nullptr || X509_set_version(certificate.get(), X509_VERSION_3) != 1 ||
      X509_set_pubkey(certificate.get(), const_cast<EVP_PKEY*>(key)) != 1) {
    return CryptoError("certificate");
  }
  RETURN_IF_ERROR(SetSerial(certificate.get()));
  return certificate;
}

}  // namespace

absl::StatusOr<CertificateAndKey> MakeAuthority(std::chrono::hours lifetime, Time now) {
  const KeyPtr key(EVP_EC_gen("P-256"));
  if (key == nullptr) return CryptoError("key");
  ASSIGN_OR_RETURN(const X509Ptr certificate, NewCertificate(key.get()));
  X509* const x509 = certificate.get();
  RETURN_IF_ERROR(SetSubject(x509, StrCat("Sallyport CA ", FormatTime(now))));
  if (X509_set_issuer_name(x509, X509_get_subject_name(x509)) != 1) return CryptoError("name");
  RETURN_IF_ERROR(SetValidity(x509, now - kBackdated, now + lifetime));
  RETURN_IF_ERROR(AddExtension(x509, x509, NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
  RETURN_IF_ERROR(AddExtension(x509, x509, NID_key_usage, "critical,keyCertSign,cRLSign"));
  RETURN_IF_ERROR(AddExtension(x509, x509, NID_subject_key_identifier, "hash"));
  if (X509_sign(x509, key.get(), EVP_sha256()) == 0) return CryptoError("signature");
  return Encode(*x509, *key);
}

absl::StatusOr<Authority> Authority::FromPem(const CertificateAndKey& pem) {
  Authority authority;
  ASSIGN_OR_RETURN(authority.certificate_, Certificate::FromPem(pem.certificate_pem));
  KeyPtr key = KeyOf(pem.key_pem);
  if (key == nullptr) return absl::InvalidArgumentError("the CA's key cannot be read");
  authority.key_ = std::shared_ptr<EVP_PKEY>(key.release(), EVP_PKEY_free);
  if (X509_check_private_key(authority.certificate_.get(), authority.key_.get()) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError("the CA's certificate and key do not belong together");
  }
  if (!authority.certificate_.is_authority()) {
    return absl::InvalidArgumentError("the certificate is no CA's");
  }
  return authority;
}

absl::StatusOr<CertificateAndKey> Authority::Issue(const CertificateRequest& request,
                                                   Time now) const {
  RETURN_IF_ERROR(certificate_.CheckTime("the CA's certificate", now));
  ASSIGN_OR_RETURN(const std::string alternative_names, AlternativeNames(request));
  const KeyPtr key(EVP_EC_gen("P-256"));
  if (key == nullptr) return CryptoError("key");
  ASSIGN_OR_RETURN(const X509Ptr certificate, NewCertificate(key.get()));
  X509* const x509 = certificate.get();
  X509* const issuer = certificate_.get();
  RETURN_IF_ERROR(SetSubject(x509, request.identity.ToString()));
  if (X509_set_issuer_name(x509, X509_get_subject_name(issuer)) != 1) return CryptoError("name");
  RETURN_IF_ERROR(SetValidity(x509, now - kBackdated,
                              std::min(now + request.lifetime, certificate_.not_after())));
  const bool server = request.identity.role == Role::kServer;
  RETURN_IF_ERROR(AddExtension(issuer, x509, NID_basic_constraints, "critical,CA:FALSE"));
  RETURN_IF_ERROR(AddExtension(issuer, x509, NID_key_usage, "critical,digitalSignature"));
  RETURN_IF_ERROR(
      AddExtension(issuer, x509, NID_ext_key_usage, server ? "serverAuth" : "clientAuth"));
  RETURN_IF_ERROR(AddExtension(issuer, x509, NID_subject_alt_name, alternative_names));
  RETURN_IF_ERROR(AddExtension(issuer, x509, NID_subject_key_identifier, "hash"));
  RETURN_IF_ERROR(AddExtension(issuer, x509, NID_authority_key_identifier, "keyid"));
  if (X509_sign(x509, key_.get(), EVP_sha256()) == 0) return CryptoError("signature");
  return Encode(*x509, *key);
}

absl::StatusOr<std::string> Authority::Revoke(const std::string& list_pem,
                                              const std::vector<Certificate>& certificates,
                                              Time now) const {
  CrlPtr list(X509_CRL_new());
  if (!list_pem.empty()) {
    list.reset(PEM_read_bio_X509_CRL(ReadingFrom(list_pem).get(), nullptr, nullptr, nullptr));
    if (list == nullptr) return CryptoError("the present revocation list");
  }
  const TimePtr time(ASN1_TIME_set(nullptr, system_clock::to_time_t(now)));
  // We ask no list to be fresh; other programs may, and get as long as the CA lives.
  if (list == nullptr || time == nullptr ||
      X509_CRL_set_version(list.get(), X509_CRL_VERSION_2) != 1 ||
      X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(certificate_.get())) != 1 ||
      X509_CRL_set1_lastUpdate(list.get(), time.get()) != 1 ||
      X509_CRL_set1_nextUpdate(list.get(), X509_get0_notAfter(certificate_.get())) != 1) {
    return CryptoError("revocation list");
  }
  for (const Certificate& certificate : certificates) {
    if (X509_verify(certificate.get(), key_.get()) != 1) {
      ERR_clear_error();
      return absl::InvalidArgumentError(StrCat("the certificate with serial number ",
                                               certificate.serial(),
                                               " is of another CA; only that one can revoke it"));
    }
    X509_REVOKED* present = nullptr;
    if (X509_CRL_get0_by_cert(list.get(), &present, certificate.get()) == 1) continue;
    X509_REVOKED* const entry = X509_REVOKED_new();
    if (entry == nullptr ||
        X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(certificate.get())) != 1 ||
        X509_REVOKED_set_revocationDate(entry, time.get()) != 1 ||
        X509_CRL_add0_revoked(list.get(), entry) != 1) {
      return CryptoError("revocation");
    }
  }
  X509_CRL_sort(list.get());
  if (X509_CRL_sign(list.get(), key_.get(), EVP_sha256()) == 0) return CryptoError("signature");
  return ToPem([&](BIO* out) { return PEM_write_bio_X509_CRL(out, list.get()); });
}

}  // namespace sallyport::pki
