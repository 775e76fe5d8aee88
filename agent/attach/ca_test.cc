#include "agent/attach/ca.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

#include "gtest/gtest.h"

namespace sallyport::agent {
namespace {

const std::chrono::system_clock::time_point kNow =
    std::chrono::system_clock::from_time_t(1'700'000'000);

struct Parsed {
  explicit Parsed(const CertificateAuthority& authority) {
    const auto* at = reinterpret_cast<const unsigned char*>(authority.certificate_der.data());
    certificate.reset(d2i_X509(nullptr, &at, static_cast<long>(authority.certificate_der.size())));
    at = reinterpret_cast<const unsigned char*>(authority.private_key_der.data());
    key.reset(d2i_PrivateKey(EVP_PKEY_EC, nullptr, &at,
                             static_cast<long>(authority.private_key_der.size())));
  }
  std::string CommonName() const {
    char text[256] = {};
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, text,
                              sizeof(text));
    return text;
  }
  std::unique_ptr<X509, decltype(&X509_free)> certificate{nullptr, X509_free};
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key{nullptr, EVP_PKEY_free};
};

CertificateAuthority Make(const std::string& id = "web-1") {
  absl::StatusOr<CertificateAuthority> authority = MakeCertificateAuthority(id, kNow);
  EXPECT_TRUE(authority.ok()) << authority.status();
  return *std::move(authority);
}

TEST(CaTest, SignsItselfWithItsKey) {
  const Parsed ca(Make());
  ASSERT_NE(ca.certificate, nullptr);
  ASSERT_NE(ca.key, nullptr);
  EXPECT_EQ(X509_verify(ca.certificate.get(), ca.key.get()), 1);
  EXPECT_EQ(X509_get_version(ca.certificate.get()), X509_VERSION_3);
  char group[32] = {};
  EVP_PKEY_get_group_name(ca.key.get(), group, sizeof(group), nullptr);
  EXPECT_STREQ(group, "prime256v1");
}

TEST(CaTest, PemAndDerAreTheSameCertificate) {
  const CertificateAuthority authority = Make();
  BIO* const memory = BIO_new_mem_buf(authority.certificate_pem.data(), -1);
  X509* const from_pem = PEM_read_bio_X509(memory, nullptr, nullptr, nullptr);
  ASSERT_NE(from_pem, nullptr);
  EXPECT_EQ(X509_cmp(from_pem, Parsed(authority).certificate.get()), 0);
  X509_free(from_pem);
  BIO_free(memory);
}

TEST(CaTest, TL18_MaySignServerCertificatesAndNoCas) {
  const Parsed ca(Make());
  X509* const certificate = ca.certificate.get();
  EXPECT_EQ(X509_check_ca(certificate), 1);
  EXPECT_EQ(X509_get_pathlen(certificate), 0);
  EXPECT_EQ(X509_get_key_usage(certificate), uint32_t{KU_KEY_CERT_SIGN | KU_CRL_SIGN});
  EXPECT_EQ(X509_get_extended_key_usage(certificate), uint32_t{XKU_SSL_SERVER});
  EXPECT_NE(X509_get0_subject_key_id(certificate), nullptr);
  for (const int critical : {NID_basic_constraints, NID_key_usage}) {
    X509_EXTENSION* const extension =
        X509_get_ext(certificate, X509_get_ext_by_NID(certificate, critical, -1));
    EXPECT_EQ(X509_EXTENSION_get_critical(extension), 1);
  }
}

TEST(CaTest, TL18_IsValidFromTwoDaysBeforeToThirtyDaysAfter) {
  const Parsed ca(Make());
  const time_t now = std::chrono::system_clock::to_time_t(kNow);
  EXPECT_EQ(ASN1_TIME_cmp_time_t(X509_get0_notBefore(ca.certificate.get()), now - 48 * 3600), 0);
  EXPECT_EQ(ASN1_TIME_cmp_time_t(X509_get0_notAfter(ca.certificate.get()), now + 30 * 24 * 3600),
            0);
}

TEST(CaTest, TL18_NoTwoAreAlike) {
  const Parsed first(Make()), second(Make());
  EXPECT_NE(first.CommonName(), second.CommonName());
  EXPECT_NE(ASN1_INTEGER_cmp(X509_get0_serialNumber(first.certificate.get()),
                             X509_get0_serialNumber(second.certificate.get())),
            0);
  EXPECT_EQ(EVP_PKEY_eq(first.key.get(), second.key.get()), 0);
}

TEST(CaTest, NamesTheContainerAsFarAsThereIsRoom) {
  EXPECT_EQ(Parsed(Make("web-1")).CommonName().substr(0, 19), "Sallyport CA web-1 ");
  EXPECT_EQ(Parsed(Make(std::string(128, 'x'))).CommonName().size(), 64u);
}

}  // namespace
}  // namespace sallyport::agent
