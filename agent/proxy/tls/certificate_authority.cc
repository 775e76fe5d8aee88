#include "agent/proxy/tls/certificate_authority.h"

#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/bytestring.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "agent/proxy/tls/asn1_time.h"
#include "agent/proxy/tls/key_memory.h"
#include "common/base/status.h"

namespace sallyport::proxy {
namespace {

constexpr time_t kBackdate = 60 * 60;
constexpr time_t kLifetime = 24 * 60 * 60;
// X.520's upper bound of a common name is 64; there are readers that count a terminator in.
constexpr size_t kCommonNameLimit = 64;

// Extension values of RFC 5280 section 4.2.1, DER.
constexpr std::string_view kDigitalSignature("\x03\x02\x07\x80", 4);
constexpr std::string_view kNotCa("\x30\x00", 2);
constexpr std::string_view kServerAuth("\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01", 12);

const uint8_t* Bytes(std::string_view text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

bool AddBytes(CBB* cbb, std::string_view bytes) {
  return CBB_add_bytes(cbb, Bytes(bytes), bytes.size()) != 0;
}

// SEQUENCE { [tag] value }: a GeneralNames of one name, and an AuthorityKeyIdentifier with the key
// identifier alone.
std::string SequenceOfOne(unsigned tag, std::string_view value) {
  bssl::ScopedCBB cbb;
  CBB sequence, element;
  uint8_t* data = nullptr;
  size_t size = 0;
  if (!CBB_init(cbb.get(), 64 + value.size()) ||
      !CBB_add_asn1(cbb.get(), &sequence, CBS_ASN1_SEQUENCE) ||
      !CBB_add_asn1(&sequence, &element, CBS_ASN1_CONTEXT_SPECIFIC | tag) ||
      !AddBytes(&element, value) || !CBB_finish(cbb.get(), &data, &size)) {
    return {};
  }
  bssl::UniquePtr<uint8_t> owner(data);
  return std::string(reinterpret_cast<const char*>(data), size);
}

std::string SubjectAltName(const Host& host) {
  constexpr unsigned kDnsName = 2, kIpAddress = 7;
  if (!host.is_address()) return SequenceOfOne(kDnsName, host.text());
  const IpAddress& address = host.address();
  return SequenceOfOne(kIpAddress,
                       std::string_view(reinterpret_cast<const char*>(address.bytes().data()),
                                        static_cast<size_t>(address.byte_length())));
}

enum class Critical { kNo, kYes };

bool AddExtension(X509* certificate, int nid, Critical critical, std::string_view value) {
  if (value.empty()) return false;
  bssl::UniquePtr<ASN1_OCTET_STRING> octets(ASN1_OCTET_STRING_new());
  if (octets == nullptr ||
      !ASN1_OCTET_STRING_set(octets.get(), Bytes(value), static_cast<int>(value.size()))) {
    return false;
  }
  bssl::UniquePtr<X509_EXTENSION> extension(
      X509_EXTENSION_create_by_NID(nullptr, nid, critical == Critical::kYes, octets.get()));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1);
}

// 128 random bits.
bool SetRandomSerial(X509* certificate) {
  std::array<uint8_t, 16> random;
  RAND_bytes(random.data(), random.size());
  bssl::UniquePtr<BIGNUM> number(BN_bin2bn(random.data(), random.size(), nullptr));
  return number != nullptr &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

// An empty subject if the host does not fit: RFC 5280 section 4.2.1.6 wants the SAN critical then.
bool SetNames(X509* certificate, const Host& host) {
  const bool has_common_name = host.text().size() < kCommonNameLimit;
  if (has_common_name) {
    bssl::UniquePtr<X509_NAME> subject(X509_NAME_new());
    if (subject == nullptr ||
        !X509_NAME_add_entry_by_NID(subject.get(), NID_commonName, V_ASN1_UTF8STRING,
                                    Bytes(host.text()), static_cast<ssize_t>(host.text().size()),
                                    -1, 0) ||
        !X509_set_subject_name(certificate, subject.get())) {
      return false;
    }
  }
  return AddExtension(certificate, NID_subject_alt_name,
                      has_common_name ? Critical::kNo : Critical::kYes, SubjectAltName(host));
}

bool SetValidity(X509* certificate, time_t not_before, time_t not_after) {
  return ASN1_TIME_set(X509_getm_notBefore(certificate), not_before) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(certificate), not_after) != nullptr;
}

// REQUIRES: WithKeyMemory.
bssl::UniquePtr<EVP_PKEY> ParseKey(std::string_view der) {
  CBS cbs;
  CBS_init(&cbs, Bytes(der), der.size());
  bssl::UniquePtr<EC_KEY> ec_key(EC_KEY_parse_private_key(&cbs, nullptr));
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  if (ec_key == nullptr || CBS_len(&cbs) != 0 || key == nullptr ||
      EC_GROUP_get_curve_name(EC_KEY_get0_group(ec_key.get())) != NID_X9_62_prime256v1 ||
      !EVP_PKEY_set1_EC_KEY(key.get(), ec_key.get())) {
    return nullptr;
  }
  return key;
}

// REQUIRES: WithKeyMemory.
bssl::UniquePtr<EVP_PKEY> NewP256Key() {
  bssl::UniquePtr<EC_KEY> ec_key(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  if (ec_key == nullptr || key == nullptr || !EC_KEY_generate_key(ec_key.get()) ||
      !EVP_PKEY_set1_EC_KEY(key.get(), ec_key.get())) {
    return nullptr;
  }
  return key;
}

bssl::UniquePtr<X509> ParseCertificate(std::string_view der) {
  const uint8_t* position = Bytes(der);
  bssl::UniquePtr<X509> certificate(d2i_X509(nullptr, &position, static_cast<long>(der.size())));
  if (position != Bytes(der) + der.size()) return nullptr;
  return certificate;
}

}  // namespace

absl::StatusOr<bssl::UniquePtr<EVP_PKEY>> GenerateP256Key() {
  bssl::UniquePtr<EVP_PKEY> key;
  RETURN_IF_ERROR(WithKeyMemory([&key] { key = NewP256Key(); }));
  if (key == nullptr) return absl::InternalError("BoringSSL cannot make a P-256 key");
  return key;
}

absl::StatusOr<CertificateAuthority> CertificateAuthority::Create(std::string_view certificate,
                                                                  std::string_view private_key) {
  CertificateAuthority authority;
  authority.certificate_ = ParseCertificate(certificate);
  if (authority.certificate_ == nullptr) {
    return absl::InvalidArgumentError("the container's CA certificate is not X.509 DER");
  }
  RETURN_IF_ERROR(WithKeyMemory([&] { authority.key_ = ParseKey(private_key); }));
  if (authority.key_ == nullptr) {
    return absl::InvalidArgumentError("the container's CA key is not a P-256 key of RFC 5915");
  }
  X509* const x509 = authority.certificate_.get();
  if (!X509_check_private_key(x509, authority.key_.get())) {
    return absl::InvalidArgumentError("the container's CA certificate is of another key");
  }
  if (X509_check_ca(x509) != 1) {
    return absl::InvalidArgumentError("the container's CA certificate is not a CA's");
  }
  const ASN1_OCTET_STRING* const key_id = X509_get0_subject_key_id(x509);
  if (key_id == nullptr) {
    return absl::InvalidArgumentError(
        "the container's CA certificate lacks a subject key identifier");
  }
  authority.authority_key_id_ = SequenceOfOne(
      0, std::string_view(reinterpret_cast<const char*>(ASN1_STRING_get0_data(key_id)),
                          static_cast<size_t>(ASN1_STRING_length(key_id))));
  const std::optional<time_t> not_after = ToTime(X509_get0_notAfter(x509));
  if (!not_after.has_value()) {
    return absl::InvalidArgumentError("the container's CA certificate has no valid end");
  }
  authority.not_after_ = *not_after;
  return authority;
}

absl::StatusOr<LeafCertificate> CertificateAuthority::Mint(const Host& host, EVP_PKEY* leaf_key,
                                                           time_t now) const {
  if (now >= not_after_) {
    return absl::FailedPreconditionError(
        "the container's CA has expired: attach the container again");
  }
  LeafCertificate leaf;
  leaf.not_before = now - kBackdate;
  leaf.not_after = std::min(leaf.not_before + kLifetime, not_after_);
  bssl::UniquePtr<X509> certificate(X509_new());
  uint8_t* data = nullptr;
  if (certificate == nullptr || !X509_set_version(certificate.get(), X509_VERSION_3) ||
      !SetRandomSerial(certificate.get()) ||
      !SetValidity(certificate.get(), leaf.not_before, leaf.not_after) ||
      !X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate_.get())) ||
      !X509_set_pubkey(certificate.get(), leaf_key) || !SetNames(certificate.get(), host) ||
      !AddExtension(certificate.get(), NID_basic_constraints, Critical::kYes, kNotCa) ||
      !AddExtension(certificate.get(), NID_key_usage, Critical::kYes, kDigitalSignature) ||
      !AddExtension(certificate.get(), NID_ext_key_usage, Critical::kNo, kServerAuth) ||
      !AddExtension(certificate.get(), NID_authority_key_identifier, Critical::kNo,
                    authority_key_id_) ||
      !X509_sign(certificate.get(), key_.get(), EVP_sha256())) {
    return absl::InternalError("BoringSSL cannot make a leaf certificate");
  }
  const int size = i2d_X509(certificate.get(), &data);
  if (size <= 0) return absl::InternalError("BoringSSL cannot encode a leaf certificate");
  bssl::UniquePtr<uint8_t> owner(data);
  leaf.der.assign(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
  return leaf;
}

}  // namespace sallyport::proxy
