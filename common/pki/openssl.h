// OpenSSL's objects with owners, and its errors as ours. For this folder.

#ifndef SALLYPORT_COMMON_PKI_OPENSSL_H_
#define SALLYPORT_COMMON_PKI_OPENSSL_H_

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/strings.h"

namespace sallyport::pki {

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using KeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using X509Ptr = std::unique_ptr<X509, Freer<X509_free>>;
using CrlPtr = std::unique_ptr<X509_CRL, Freer<X509_CRL_free>>;
using NumberPtr = std::unique_ptr<BIGNUM, Freer<BN_free>>;
using Asn1NumberPtr = std::unique_ptr<ASN1_INTEGER, Freer<ASN1_INTEGER_free>>;
using TimePtr = std::unique_ptr<ASN1_TIME, Freer<ASN1_TIME_free>>;
using BioPtr = std::unique_ptr<BIO, Freer<BIO_free_all>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, Freer<GENERAL_NAMES_free>>;
using StorePtr = std::unique_ptr<X509_STORE, Freer<X509_STORE_free>>;
using StoreContextPtr = std::unique_ptr<X509_STORE_CTX, Freer<X509_STORE_CTX_free>>;

inline absl::Status CryptoError(std::string_view doing) {
  char text[256];
  ERR_error_string_n(ERR_get_error(), text, sizeof(text));
  ERR_clear_error();
  return absl::InternalError(StrCat("OpenSSL: ", doing, ": ", text));
}

// Over the caller's bytes.
inline BioPtr ReadingFrom(std::string_view bytes) {
  return BioPtr(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
}

// What `write`, one of PEM_write_bio_…, writes.
template <typename Write>
absl::StatusOr<std::string> ToPem(Write write) {
  const BioPtr memory(BIO_new(BIO_s_mem()));
  if (memory == nullptr || write(memory.get()) != 1) return CryptoError("encoding");
  char* data = nullptr;
  const long length = BIO_get_mem_data(memory.get(), &data);
  return std::string(data, static_cast<size_t>(length));
}

// The certificates of a PEM text, in order. INVALID_ARGUMENT if there is none, or one is damaged.
inline absl::StatusOr<std::vector<X509Ptr>> CertificatesOf(std::string_view pem) {
  std::vector<X509Ptr> certificates;
  const BioPtr input = ReadingFrom(pem);
  while (X509Ptr one{PEM_read_bio_X509(input.get(), nullptr, nullptr, nullptr)}) {
    certificates.push_back(std::move(one));
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (certificates.empty() || !at_end) {
    return absl::InvalidArgumentError(certificates.empty() ? "holds no certificate (PEM)"
                                                           : "holds a damaged certificate");
  }
  return certificates;
}

// Never asks for a password.
inline KeyPtr KeyOf(std::string_view pem) {
  const auto no_password = [](char*, int, int, void*) { return -1; };
  KeyPtr key(PEM_read_bio_PrivateKey(ReadingFrom(pem).get(), nullptr, no_password, nullptr));
  ERR_clear_error();
  return key;
}

inline std::string HexOf(const ASN1_INTEGER* integer) {
  const NumberPtr number(ASN1_INTEGER_to_BN(integer, nullptr));
  char* const text = BN_bn2hex(number.get());
  std::string hex = text;
  OPENSSL_free(text);
  return hex;
}

// DER.
inline std::string BytesOf(const X509_NAME* name) {
  unsigned char* der = nullptr;
  const int length = i2d_X509_NAME(name, &der);
  std::string bytes(reinterpret_cast<const char*>(der),
                    length < 0 ? 0 : static_cast<size_t>(length));
  OPENSSL_free(der);
  return bytes;
}

inline std::chrono::system_clock::time_point ToTime(const ASN1_TIME* time) {
  std::tm parts = {};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return std::chrono::system_clock::from_time_t(timegm(&parts));
}

}  // namespace sallyport::pki

#endif  // SALLYPORT_COMMON_PKI_OPENSSL_H_
