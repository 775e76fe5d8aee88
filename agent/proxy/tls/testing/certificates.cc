#include "agent/proxy/tls/testing/certificates.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/bytestring.h>
#include <openssl/ec_key.h>
#include <openssl/mem.h>
#include <openssl/obj.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "agent/proxy/tls/certificate_authority.h"

namespace sallyport::proxy {
namespace {

void Must(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "cannot make a certificate: %s\n", what);
  std::abort();
}

bssl::UniquePtr<GENERAL_NAME> MakeName(int type, const std::string& bytes) {
  bssl::UniquePtr<GENERAL_NAME> name(GENERAL_NAME_new());
  ASN1_STRING* const value =
      ASN1_STRING_type_new(type == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);
  Must(ASN1_STRING_set(value, bytes.data(), static_cast<int>(bytes.size())), "name");
  GENERAL_NAME_set0_value(name.get(), type, value);
  return name;
}

void Add(X509* certificate, int nid, void* value, bool critical) {
  Must(X509_add1_ext_i2d(certificate, nid, value, critical, 0) == 1, OBJ_nid2sn(nid));
}

void AddAlternativeNames(X509* certificate, const CertificateSpec& spec) {
  if (spec.dns_names.empty() && spec.addresses.empty()) return;
  bssl::UniquePtr<GENERAL_NAMES> names(GENERAL_NAMES_new());
  for (const std::string& name : spec.dns_names) {
    sk_GENERAL_NAME_push(names.get(), MakeName(GEN_DNS, name).release());
  }
  for (const std::string& address : spec.addresses) {
    sk_GENERAL_NAME_push(names.get(), MakeName(GEN_IPADD, address).release());
  }
  Add(certificate, NID_subject_alt_name, names.get(), spec.common_name.empty());
}

void AddUsage(X509* certificate, const CertificateSpec& spec) {
  bssl::UniquePtr<BASIC_CONSTRAINTS> basic(BASIC_CONSTRAINTS_new());
  basic->ca = spec.is_ca ? 0xff : 0;
  if (spec.path_length.has_value()) {
    basic->pathlen = ASN1_INTEGER_new();
    ASN1_INTEGER_set(basic->pathlen, *spec.path_length);
  }
  Add(certificate, NID_basic_constraints, basic.get(), true);
  std::vector<int> bits;
  if (spec.is_ca) bits = {kKeyCertSign, kCrlSign};
  if (!spec.is_ca || !spec.dns_names.empty()) bits.push_back(kDigitalSignature);
  if (spec.key_usage.has_value()) bits = *spec.key_usage;
  if (!bits.empty()) {
    bssl::UniquePtr<ASN1_BIT_STRING> usage(ASN1_BIT_STRING_new());
    for (const int bit : bits) ASN1_BIT_STRING_set_bit(usage.get(), bit, 1);
    Add(certificate, NID_key_usage, usage.get(), true);
  }
  if (spec.extended_key_usage.has_value()) {
    bssl::UniquePtr<EXTENDED_KEY_USAGE> extended(EXTENDED_KEY_USAGE_new());
    sk_ASN1_OBJECT_push(extended.get(), OBJ_dup(OBJ_nid2obj(*spec.extended_key_usage)));
    Add(certificate, NID_ext_key_usage, extended.get(), false);
  }
}

void AddNameConstraint(X509* certificate, const CertificateSpec& spec) {
  if (spec.permitted_dns.empty()) return;
  bssl::UniquePtr<NAME_CONSTRAINTS> constraints(NAME_CONSTRAINTS_new());
  constraints->permittedSubtrees = sk_GENERAL_SUBTREE_new_null();
  GENERAL_SUBTREE* const subtree = GENERAL_SUBTREE_new();
  GENERAL_NAME_free(subtree->base);
  subtree->base = MakeName(GEN_DNS, spec.permitted_dns).release();
  sk_GENERAL_SUBTREE_push(constraints->permittedSubtrees, subtree);
  Add(certificate, NID_name_constraints, constraints.get(), true);
}

// SHA-1 of the public key, RFC 5280 section 4.2.1.2.
bssl::UniquePtr<ASN1_OCTET_STRING> KeyId(X509* certificate) {
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  Must(X509_pubkey_digest(certificate, EVP_sha1(), digest, &size), "key id");
  bssl::UniquePtr<ASN1_OCTET_STRING> id(ASN1_OCTET_STRING_new());
  ASN1_OCTET_STRING_set(id.get(), digest, static_cast<int>(size));
  return id;
}

Identity Make(const Identity* issuer, const CertificateSpec& spec) {
  Identity made;
  made.key = GenerateP256Key().value();
  made.certificate.reset(X509_new());
  X509* const certificate = made.certificate.get();
  const Identity& signer = issuer != nullptr ? *issuer : made;
  static int serial = 1;
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
  ASN1_TIME_set(X509_getm_notBefore(certificate), spec.not_before);
  ASN1_TIME_set(X509_getm_notAfter(certificate), spec.not_after);
  if (!spec.common_name.empty()) {
    X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate), NID_commonName,
                               V_ASN1_UTF8STRING,
                               reinterpret_cast<const uint8_t*>(spec.common_name.data()),
                               static_cast<int>(spec.common_name.size()), -1, 0);
  }
  X509_set_issuer_name(certificate, X509_get_subject_name(signer.certificate.get()));
  X509_set_pubkey(certificate, made.key.get());
  AddAlternativeNames(certificate, spec);
  AddUsage(certificate, spec);
  AddNameConstraint(certificate, spec);
  Add(certificate, NID_subject_key_identifier, KeyId(certificate).get(), false);
  if (issuer != nullptr) {
    bssl::UniquePtr<AUTHORITY_KEYID> authority(AUTHORITY_KEYID_new());
    authority->keyid = KeyId(signer.certificate.get()).release();
    Add(certificate, NID_authority_key_identifier, authority.get(), false);
  }
  Must(X509_sign(certificate, signer.key.get(), EVP_sha256()) > 0, "signature");
  return made;
}

}  // namespace

std::string Identity::CertificateDer() const {
  uint8_t* data = nullptr;
  const int size = i2d_X509(certificate.get(), &data);
  bssl::UniquePtr<uint8_t> owner(data);
  return std::string(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
}

std::string Identity::CertificatePem() const {
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(bio.get(), certificate.get());
  const uint8_t* data = nullptr;
  size_t size = 0;
  BIO_mem_contents(bio.get(), &data, &size);
  return std::string(reinterpret_cast<const char*>(data), size);
}

std::string Identity::KeyDer() const {
  bssl::ScopedCBB cbb;
  uint8_t* data = nullptr;
  size_t size = 0;
  Must(CBB_init(cbb.get(), 128) &&
           EC_KEY_marshal_private_key(cbb.get(), EVP_PKEY_get0_EC_KEY(key.get()), 0) &&
           CBB_finish(cbb.get(), &data, &size),
       "key");
  bssl::UniquePtr<uint8_t> owner(data);
  return std::string(reinterpret_cast<const char*>(data), size);
}

Identity MakeSelfSigned(const CertificateSpec& spec) { return Make(nullptr, spec); }

Identity MakeIssued(const Identity& issuer, const CertificateSpec& spec) {
  return Make(&issuer, spec);
}

Identity MakeRoot(const std::string& common_name) {
  return MakeSelfSigned({.common_name = common_name, .is_ca = true});
}

}  // namespace sallyport::proxy
