#include "common/pki/testing/raw_certificate.h"

#include "common/base/check.h"
#include "common/pki/openssl.h"

namespace sallyport::pki {
namespace {

void Add(X509* issuer, X509* certificate, int id, const std::string& value) {
  if (value.empty()) return;
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, id, value.c_str()));
  SALLYPORT_CHECK(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1);
}

}  // namespace

CertificateAndKey SignRaw(const CertificateAndKey& authority, const RawCertificate& raw) {
  using std::chrono::system_clock;
  auto issuers = CertificatesOf(authority.certificate_pem);
  const KeyPtr issuer_key = KeyOf(authority.key_pem);
  const KeyPtr key(EVP_EC_gen("P-256"));
  const X509Ptr certificate(X509_new());
  SALLYPORT_CHECK(issuers.ok() && issuer_key != nullptr && key != nullptr);
  X509* const issuer = (*issuers)[0].get();
  X509* const x509 = certificate.get();
  X509_set_version(x509, X509_VERSION_3);
  X509_set_pubkey(x509, key.get());
  const NumberPtr serial(BN_new());
  BN_rand(serial.get(), 100, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY);
  BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(x509));
  X509_NAME_add_entry_by_NID(X509_get_subject_name(x509), NID_commonName, MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(raw.common_name.data()),
                             static_cast<int>(raw.common_name.size()), -1, 0);
  X509_set_issuer_name(x509, X509_get_subject_name(issuer));
  ASN1_TIME_set(X509_getm_notBefore(x509), system_clock::to_time_t(raw.not_before));
  ASN1_TIME_set(X509_getm_notAfter(x509), system_clock::to_time_t(raw.not_after));
  Add(issuer, x509, NID_basic_constraints, raw.authority ? "critical,CA:TRUE" : "CA:FALSE");
  Add(issuer, x509, NID_ext_key_usage, raw.usage);
  Add(issuer, x509, NID_subject_alt_name, raw.alternative_names);
  SALLYPORT_CHECK(X509_sign(x509, issuer_key.get(), EVP_sha256()) != 0);
  CertificateAndKey result;
  result.certificate_pem = *ToPem([&](BIO* out) { return PEM_write_bio_X509(out, x509); });
  result.key_pem = *ToPem([&](BIO* out) {
    return PEM_write_bio_PKCS8PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
  return result;
}

}  // namespace sallyport::pki
