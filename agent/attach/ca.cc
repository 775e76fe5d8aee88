#include "agent/attach/ca.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <memory>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/pki/openssl.h"

namespace sallyport::agent {
namespace {

using pki::BioPtr;
using pki::ExtensionPtr;
using pki::KeyPtr;
using pki::NumberPtr;
using pki::X509Ptr;

constexpr std::chrono::hours kBackdated{48};
constexpr std::chrono::hours kLifetime{30 * 24};
// X.520 allows a common name of 64 characters: 13 of "Sallyport CA ", a space, 16 that are random.
constexpr size_t kIdInName = 64 - 13 - 1 - 16;

absl::Status CryptoError(const char* doing) {
  char text[256];
  ERR_error_string_n(ERR_get_error(), text, sizeof(text));
  ERR_clear_error();
  return absl::InternalError(absl::StrCat("making a container's CA: ", doing, ": ", text));
}

// New keys of P-256. What finds the algorithm, which takes longer than to make a key, is kept.
class KeyMaker {
 public:
  absl::StatusOr<KeyPtr> Make() {
    MutexLock lock(&mutex_);
    if (context_ == nullptr) RETURN_IF_ERROR(Open());
    EVP_PKEY* key = nullptr;
    if (EVP_PKEY_generate(context_.get(), &key) != 1) return CryptoError("key");
    return KeyPtr(key);
  }

 private:
  using Context = std::unique_ptr<EVP_PKEY_CTX, pki::Freer<EVP_PKEY_CTX_free>>;

  absl::Status Open() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    Context context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
    if (context == nullptr || EVP_PKEY_keygen_init(context.get()) != 1 ||
        EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context.get(), NID_X9_62_prime256v1) != 1) {
      return CryptoError("key");
    }
    context_ = std::move(context);
    return absl::OkStatus();
  }

  Mutex mutex_;
  Context context_ ABSL_GUARDED_BY(mutex_);
};

// As X509_set_pubkey() would, which encodes the whole and reads it again: a third of a millisecond.
absl::Status SetPublicKey(X509* certificate, EVP_PKEY* key) {
  unsigned char* point = nullptr;
  const size_t length = EVP_PKEY_get1_encoded_public_key(key, &point);
  // It takes the point over, unless it fails.
  if (length == 0 || X509_PUBKEY_set0_param(X509_get_X509_PUBKEY(certificate),
                                            OBJ_nid2obj(NID_X9_62_id_ecPublicKey), V_ASN1_OBJECT,
                                            OBJ_nid2obj(NID_X9_62_prime256v1), point,
                                            static_cast<int>(length)) != 1) {
    OPENSSL_free(point);
    return CryptoError("public key");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> CommonName(std::string_view container_id) {
  std::array<unsigned char, 8> random;
  if (RAND_bytes(random.data(), random.size()) != 1) return CryptoError("random bytes");
  const absl::string_view bytes(reinterpret_cast<const char*>(random.data()), random.size());
  return StrCat("Sallyport CA ", container_id.substr(0, kIdInName), " ",
                absl::BytesToHexString(bytes));
}

absl::Status SetSerial(X509* certificate) {
  // RFC 5280, 4.1.2.2: positive, at most 20 bytes.
  NumberPtr number(BN_new());
  if (number == nullptr || BN_rand(number.get(), 159, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) != 1 ||
      BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) == nullptr) {
    return CryptoError("serial number");
  }
  return absl::OkStatus();
}

absl::Status SetNames(X509* certificate, const std::string& common_name) {
  X509_NAME* const name = X509_get_subject_name(certificate);
  if (X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(common_name.data()),
                                 static_cast<int>(common_name.size()), -1, 0) != 1 ||
      X509_set_issuer_name(certificate, name) != 1) {
    return CryptoError("name");
  }
  return absl::OkStatus();
}

absl::Status AddExtension(X509* certificate, int id, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, id, value));
  if (extension == nullptr || X509_add_ext(certificate, extension.get(), -1) != 1) {
    return CryptoError(OBJ_nid2sn(id));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ToDer(const X509& certificate) {
  unsigned char* data = nullptr;
  const int length = i2d_X509(&certificate, &data);
  if (length < 0) return CryptoError("encoding the certificate");
  std::string der(reinterpret_cast<const char*>(data), static_cast<size_t>(length));
  OPENSSL_free(data);
  return der;
}

absl::StatusOr<std::string> ToDer(const EVP_PKEY& key) {
  unsigned char* data = nullptr;
  const int length = i2d_PrivateKey(&key, &data);
  if (length < 0) return CryptoError("encoding the key");
  std::string der(reinterpret_cast<const char*>(data), static_cast<size_t>(length));
  OPENSSL_clear_free(data, static_cast<size_t>(length));
  return der;
}

absl::StatusOr<std::string> ToPem(const X509& certificate) {
  BioPtr memory(BIO_new(BIO_s_mem()));
  if (memory == nullptr || PEM_write_bio_X509(memory.get(), &certificate) != 1) {
    return CryptoError("encoding the certificate");
  }
  char* data = nullptr;
  const long length = BIO_get_mem_data(memory.get(), &data);
  return std::string(data, static_cast<size_t>(length));
}

}  // namespace

CertificateAuthority::~CertificateAuthority() {
  OPENSSL_cleanse(private_key_der.data(), private_key_der.size());
}

absl::StatusOr<CertificateAuthority> MakeCertificateAuthority(
    std::string_view container_id, std::chrono::system_clock::time_point now) {
  // Never destroyed: at exit, OpenSSL may clean up before.
  static KeyMaker* const keys = new KeyMaker;
  ASSIGN_OR_RETURN(const KeyPtr key, keys->Make());
  X509Ptr certificate(X509_new());
  if (certificate == nullptr || X509_set_version(certificate.get(), X509_VERSION_3) != 1) {
    return CryptoError("certificate");
  }
  RETURN_IF_ERROR(SetPublicKey(certificate.get(), key.get()));
  RETURN_IF_ERROR(SetSerial(certificate.get()));
  ASSIGN_OR_RETURN(const std::string name, CommonName(container_id));
  RETURN_IF_ERROR(SetNames(certificate.get(), name));

  using std::chrono::system_clock;
  if (ASN1_TIME_set(X509_getm_notBefore(certificate.get()),
                    system_clock::to_time_t(now - kBackdated)) == nullptr ||
      ASN1_TIME_set(X509_getm_notAfter(certificate.get()),
                    system_clock::to_time_t(now + kLifetime)) == nullptr) {
    return CryptoError("validity");
  }
  RETURN_IF_ERROR(
      AddExtension(certificate.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
  RETURN_IF_ERROR(AddExtension(certificate.get(), NID_key_usage, "critical,keyCertSign,cRLSign"));
  RETURN_IF_ERROR(AddExtension(certificate.get(), NID_ext_key_usage, "serverAuth"));
  RETURN_IF_ERROR(AddExtension(certificate.get(), NID_subject_key_identifier, "hash"));
  if (X509_sign(certificate.get(), key.get(), EVP_sha256()) == 0) return CryptoError("signature");

  CertificateAuthority authority;
  ASSIGN_OR_RETURN(authority.certificate_pem, ToPem(*certificate));
  ASSIGN_OR_RETURN(authority.certificate_der, ToDer(*certificate));
  ASSIGN_OR_RETURN(authority.private_key_der, ToDer(*key));
  return authority;
}

}  // namespace sallyport::agent
