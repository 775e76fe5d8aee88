#include "agent/proxy/tls/certificate_authority.h"

#include <gtest/gtest.h>
#include <openssl/nid.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <fstream>
#include <set>

#include "agent/proxy/tls/testing/certificates.h"

namespace sallyport::proxy {
namespace {

constexpr time_t kNow = 1800000000;  // 2027-01-15
constexpr time_t kHour = 60 * 60;

bssl::UniquePtr<X509> Parse(const std::string& der) {
  const auto* position = reinterpret_cast<const uint8_t*>(der.data());
  return bssl::UniquePtr<X509>(d2i_X509(nullptr, &position, static_cast<long>(der.size())));
}

// The value of an extension, DER; "absent", or "critical " before it.
std::string ExtensionOf(X509* certificate, int nid) {
  const int index = X509_get_ext_by_NID(certificate, nid, -1);
  if (index < 0) return "absent";
  X509_EXTENSION* const extension = X509_get_ext(certificate, index);
  const ASN1_OCTET_STRING* const data = X509_EXTENSION_get_data(extension);
  return (X509_EXTENSION_get_critical(extension) ? "critical " : "") +
         std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(data)),
                     static_cast<size_t>(ASN1_STRING_length(data)));
}

std::string CommonName(X509* certificate) {
  char text[256];
  const int size = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName,
                                             text, sizeof(text));
  return size < 0 ? "absent" : std::string(text, static_cast<size_t>(size));
}

std::string LongName() {
  const std::string label(63, 'a');
  return label + "." + label + "." + label + "." + std::string(61, 'b');
}

class CertificateAuthorityTest : public testing::Test {
 protected:
  std::string MintDer(const std::string& host, time_t now = kNow) {
    absl::StatusOr<LeafCertificate> leaf =
        authority_.Mint(Host::Parse(host).value(), leaf_key_.get(), now);
    return leaf.ok() ? leaf->der : "";
  }
  bssl::UniquePtr<X509> Mint(const std::string& host) { return Parse(MintDer(host)); }

  const Identity root_ = MakeRoot("Sallyport test CA");
  const CertificateAuthority authority_ =
      CertificateAuthority::Create(root_.CertificateDer(), root_.KeyDer()).value();
  const bssl::UniquePtr<EVP_PKEY> leaf_key_ = GenerateP256Key().value();
};

TEST_F(CertificateAuthorityTest, TL12_FollowsTheProfile) {
  const bssl::UniquePtr<X509> leaf = Mint("good.test");
  ASSERT_NE(leaf, nullptr);
  X509* const x509 = leaf.get();
  EXPECT_EQ(X509_get_version(x509), X509_VERSION_3);
  EXPECT_EQ(CommonName(x509), "good.test");
  EXPECT_EQ(ExtensionOf(x509, NID_subject_alt_name), "\x30\x0b\x82\x09good.test");
  EXPECT_EQ(ExtensionOf(x509, NID_basic_constraints), std::string("critical \x30\x00", 11));
  EXPECT_EQ(ExtensionOf(x509, NID_key_usage), "critical \x03\x02\x07\x80");
  EXPECT_EQ(X509_get_extended_key_usage(x509), static_cast<uint32_t>(XKU_SSL_SERVER));
  EXPECT_EQ(ASN1_OCTET_STRING_cmp(X509_get0_authority_key_id(x509),
                                  X509_get0_subject_key_id(root_.certificate.get())),
            0);
  EXPECT_EQ(
      X509_NAME_cmp(X509_get_issuer_name(x509), X509_get_subject_name(root_.certificate.get())), 0);
  EXPECT_EQ(X509_get_signature_nid(x509), NID_ecdsa_with_SHA256);
  EXPECT_EQ(X509_check_private_key(x509, leaf_key_.get()), 1);
  EXPECT_EQ(X509_verify(x509, root_.key.get()), 1);
}

TEST_F(CertificateAuthorityTest, TL12_LivesADayFromAnHourAgo) {
  const LeafCertificate leaf =
      authority_.Mint(Host::Parse("good.test").value(), leaf_key_.get(), kNow).value();
  EXPECT_EQ(leaf.not_before, kNow - kHour);
  EXPECT_EQ(leaf.not_after, kNow + 23 * kHour);
  bssl::UniquePtr<X509> x509 = Parse(leaf.der);
  time_t before = leaf.not_before, after = leaf.not_after;
  // X509_cmp_time never says equal.
  EXPECT_EQ(X509_cmp_time(X509_get0_notBefore(x509.get()), &before), -1);
  EXPECT_EQ(X509_cmp_time(X509_get0_notAfter(x509.get()), &after), -1);
  --before, --after;
  EXPECT_EQ(X509_cmp_time(X509_get0_notBefore(x509.get()), &before), 1);
  EXPECT_EQ(X509_cmp_time(X509_get0_notAfter(x509.get()), &after), 1);
}

TEST_F(CertificateAuthorityTest, TL12_NeverOutlivesTheCa) {
  const Identity root =
      MakeSelfSigned({.common_name = "short", .is_ca = true, .not_after = kNow + 2 * kHour});
  const auto authority = CertificateAuthority::Create(root.CertificateDer(), root.KeyDer()).value();
  EXPECT_EQ(authority.not_after(), kNow + 2 * kHour);
  const Host host = Host::Parse("good.test").value();
  EXPECT_EQ(authority.Mint(host, leaf_key_.get(), kNow)->not_after, kNow + 2 * kHour);
  EXPECT_EQ(authority.Mint(host, leaf_key_.get(), kNow + 2 * kHour).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(CertificateAuthorityTest, TL12_LeavesTheCommonNameOutFrom64Bytes) {
  const std::string fits = std::string(58, 'a') + ".test";
  const std::string too_long = std::string(59, 'a') + ".test";
  EXPECT_EQ(CommonName(Mint(fits).get()), fits);
  const bssl::UniquePtr<X509> leaf = Mint(too_long);
  EXPECT_EQ(X509_NAME_entry_count(X509_get_subject_name(leaf.get())), 0);
  EXPECT_EQ(ExtensionOf(leaf.get(), NID_subject_alt_name), "critical \x30\x42\x82\x40" + too_long);
}

TEST_F(CertificateAuthorityTest, TL13_PutsAddressesInIpAddress) {
  EXPECT_EQ(ExtensionOf(Mint("203.0.113.7").get(), NID_subject_alt_name),
            std::string("\x30\x06\x87\x04\xcb\x00\x71\x07", 8));
  EXPECT_EQ(ExtensionOf(Mint("[2001:db8::1]").get(), NID_subject_alt_name),
            std::string("\x30\x12\x87\x10\x20\x01\x0d\xb8", 8) + std::string(11, '\0') + "\x01");
}

TEST_F(CertificateAuthorityTest, TL12_DrawsSerialsOf128RandomBits) {
  std::set<std::string> serials;
  int longest = 0;
  for (int i = 0; i < 32; ++i) {
    const bssl::UniquePtr<X509> leaf = Mint("good.test");
    const ASN1_INTEGER* const serial = X509_get0_serialNumber(leaf.get());
    EXPECT_EQ(serial->type, V_ASN1_INTEGER);  // Not negative.
    longest = std::max(longest, serial->length);
    serials.emplace(reinterpret_cast<const char*>(serial->data),
                    static_cast<size_t>(serial->length));
  }
  EXPECT_EQ(serials.size(), 32u);
  EXPECT_EQ(longest, 16);
}

TEST_F(CertificateAuthorityTest, TL14_SatisfiesOpensslStrictly) {
  const std::string directory = std::getenv("TEST_TMPDIR");
  std::ofstream(directory + "/ca.pem") << root_.CertificatePem();
  const std::string names[] = {"good.test",     "_under.score_.test", "xn--bcher-kva.test",
                               "one",           LongName(),           "203.0.113.7",
                               "[2001:db8::1]", std::string(63, 'c')};
  for (const std::string& name : names) {
    const Host host = Host::Parse(name).value();
    Identity leaf;
    leaf.certificate = Mint(name);
    std::ofstream(directory + "/leaf.pem") << leaf.CertificatePem();
    const std::string command =
        "openssl verify -x509_strict -purpose sslserver -attime " + std::to_string(kNow) +
        (host.is_address() ? " -verify_ip " : " -verify_hostname ") + host.text() + " -CAfile " +
        directory + "/ca.pem " + directory + "/leaf.pem >&2";
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
  }
}

TEST_F(CertificateAuthorityTest, RefusesAWrongCa) {
  const Identity other = MakeRoot("other");
  const Identity leaf = MakeIssued(root_, {.common_name = "leaf", .dns_names = {"leaf.test"}});
  const auto create = [](const std::string& certificate, const std::string& key) {
    return std::string(CertificateAuthority::Create(certificate, key).status().message());
  };
  const std::string der = root_.CertificateDer(), key = root_.KeyDer();
  EXPECT_NE(create("", key).find("not X.509"), std::string::npos);
  EXPECT_NE(create(der + "x", key).find("not X.509"), std::string::npos);
  EXPECT_NE(create(der, "").find("not a P-256 key"), std::string::npos);
  EXPECT_NE(create(der, key + "x").find("not a P-256 key"), std::string::npos);
  EXPECT_NE(create(der, other.KeyDer()).find("of another key"), std::string::npos);
  EXPECT_NE(create(leaf.CertificateDer(), leaf.KeyDer()).find("not a CA's"), std::string::npos);
}

}  // namespace
}  // namespace sallyport::proxy
