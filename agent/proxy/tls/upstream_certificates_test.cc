// Origins with every kind of certificate.

#include <gtest/gtest.h>
#include <openssl/x509v3.h>

#include <optional>
#include <vector>

#include "agent/proxy/testing/run.h"
#include "agent/proxy/tls/testing/blocking_peer.h"
#include "agent/proxy/tls/upstream.h"

namespace sallyport::proxy {
namespace {

using absl::StatusCode;

constexpr time_t kNow = 1800000000;
const std::string kAddress("\xcb\x00\x71\x07", 4);  // 203.0.113.7

class UpstreamCertificatesTest : public testing::Test {
 protected:
  // Connects to an origin that shows this chain. What the origin received goes to received_.
  absl::Status Verify(const std::vector<const Identity*>& chain,
                      const std::string& host = "good.test", const std::string& staple = "") {
    const auto origin = MakeServerContext(chain);
    if (!staple.empty()) {
      SSL_CTX_set_ocsp_response(origin.get(), reinterpret_cast<const uint8_t*>(staple.data()),
                                staple.size());
    }
    bssl::UniquePtr<SSL> ssl(SSL_new(origin.get()));
    SSL_set_accept_state(ssl.get());
    auto [mine, theirs] = MakeSocketPair();
    peer_.emplace(std::move(theirs), std::move(ssl),
                  [this](SSL* ssl, int) { received_ = ReadAll(ssl); });
    auto transport = std::make_unique<TcpStream>(context_, std::move(mine));
    transport->SetDeadline(std::chrono::steady_clock::now() + std::chrono::seconds(20));
    return RunTask(context_, upstream_->Connect(std::move(transport), Host::Parse(host).value(),
                                                AlpnOffer::kHttp2AndHttp1))
        .status();
  }
  absl::Status Verify(const CertificateSpec& spec, const std::string& host = "good.test") {
    const Identity leaf = MakeIssued(root_, spec);
    return Verify({&leaf}, host);
  }

  boost::asio::io_context context_{1};
  const Identity root_ = MakeRoot("root");
  const std::unique_ptr<UpstreamTls> upstream_ =
      UpstreamTls::Create(UpstreamTls::ParseRoots(root_.CertificatePem()).value(), [] {
        return kNow;
      }).value();
  std::string received_;
  std::optional<BlockingPeer> peer_;
};

struct Good {
  std::string host;
  CertificateSpec spec;
};

TEST_F(UpstreamCertificatesTest, TakesGoodOnes) {
  const Good cases[] = {
      {"good.test", {.dns_names = {"good.test"}}},
      {"good.test", {.dns_names = {"other.test", "GOOD.test"}}},
      {"a.good.test", {.dns_names = {"*.good.test"}}},
      {"_a_.good.test", {.dns_names = {"_a_.good.test"}}},
      {"good.test", {.dns_names = {"good.test"}, .extended_key_usage = NID_server_auth}},
      // RFC 5280 asks for a key usage in CAs only.
      {"good.test", {.dns_names = {"good.test"}, .key_usage = std::vector<int>{}}},
      {"good.test", {.dns_names = {"good.test"}, .not_before = kNow, .not_after = kNow + 1}},
      {"203.0.113.7", {.addresses = {kAddress}}},
      {"[2001:db8::1]",
       {.addresses = {std::string("\x20\x01\x0d\xb8", 4) + std::string(11, '\0') + "\x01"}}},
  };
  for (const Good& good : cases) {
    const absl::Status status = Verify(good.spec, good.host);
    EXPECT_TRUE(status.ok()) << good.host << ": " << status;
    EXPECT_EQ(peer_->Join().sni, good.spec.addresses.empty() ? good.host : "");
  }
}

struct Bad {
  std::string name;
  std::string host;
  CertificateSpec spec;
  std::string why;
};

TEST_F(UpstreamCertificatesTest, RefusesBadOnes) {
  const std::string expired = "certificate has expired";
  const std::string mismatch = "Hostname mismatch";
  const std::string address_mismatch = "IP address mismatch";
  const Bad cases[] = {
      {"UT01 expired",
       "good.test",
       {.dns_names = {"good.test"}, .not_after = kLongAgo + 1},
       expired},
      {"UT01 just expired",
       "good.test",
       {.dns_names = {"good.test"}, .not_after = kNow - 1},
       expired},
      {"UT01 not yet valid",
       "good.test",
       {.dns_names = {"good.test"}, .not_before = kNow + 1},
       "certificate is not yet valid"},
      {"UT03 wrong host", "good.test", {.dns_names = {"wrong.test"}}, mismatch},
      {"UT03 parent", "a.good.test", {.dns_names = {"good.test"}}, mismatch},
      {"UT03 child", "good.test", {.dns_names = {"a.good.test"}}, mismatch},
      {"UT03 common name alone", "good.test", {.common_name = "good.test"}, mismatch},
      {"UT03 common name beside an address",
       "good.test",
       {.common_name = "good.test", .addresses = {kAddress}},
       mismatch},
      {"UT03 no name", "good.test", {.common_name = {}}, mismatch},
      {"UT04 NUL",
       "good.test",
       {.dns_names = {std::string("good.test\0.evil.test", 20)}},
       mismatch},
      {"UT04 trailing NUL", "good.test", {.dns_names = {std::string("good.test\0", 10)}}, mismatch},
      {"UT04 star", "good.test", {.dns_names = {"*"}}, mismatch},
      {"UT04 star of a top level", "good.test", {.dns_names = {"*.test"}}, mismatch},
      {"UT04 partial star",
       "good.test",
       {.dns_names = {"g*.test", "*d.test", "g*d.test"}},
       mismatch},
      {"UT04 partial star below",
       "a.good.test",
       {.dns_names = {"a*.good.test", "*a.good.test"}},
       mismatch},
      {"UT04 two stars", "a.b.good.test", {.dns_names = {"*.*.good.test"}}, mismatch},
      {"UT04 star over two labels", "a.b.good.test", {.dns_names = {"*.good.test"}}, mismatch},
      {"UT04 star over no label", "good.test", {.dns_names = {"*.good.test"}}, mismatch},
      {"UT04 star over an underscore", "_a.good.test", {.dns_names = {"*.good.test"}}, mismatch},
      {"UT04 star within", "a.b.good.test", {.dns_names = {"a.*.good.test"}}, mismatch},
      {"UT04 star in punycode",
       "xn--bcher-kva.good.test",
       {.dns_names = {"xn--*.good.test"}},
       mismatch},
      {"UT04 list in one name", "good.test", {.dns_names = {"good.test, DNS:evil.test"}}, mismatch},
      {"UT05 address as a name", "203.0.113.7", {.dns_names = {"203.0.113.7"}}, address_mismatch},
      {"UT05 address as a common name",
       "203.0.113.7",
       {.common_name = "203.0.113.7"},
       address_mismatch},
      {"UT05 other address", "203.0.113.8", {.addresses = {kAddress}}, address_mismatch},
      {"UT05 name as an address", "good.test", {.addresses = {kAddress}}, mismatch},
      {"UT05 address in front of another",
       "203.0.113.7",
       {.addresses = {kAddress + std::string(12, '\0')}},
       address_mismatch},
      {"UT10 client certificate",
       "good.test",
       {.dns_names = {"good.test"}, .extended_key_usage = NID_client_auth},
       "unsupported certificate purpose"},
      {"UT10 certificate of a signer of code",
       "good.test",
       {.dns_names = {"good.test"}, .extended_key_usage = NID_code_sign},
       "unsupported certificate purpose"},
      {"UT10 CA's certificate",
       "good.test",
       {.common_name = "x", .dns_names = {"good.test"}, .is_ca = true},
       "it is a CA's"},
  };
  for (const Bad& bad : cases) {
    const absl::Status status = Verify(bad.spec, bad.host);
    EXPECT_EQ(status.code(), StatusCode::kUnauthenticated) << bad.name << ": " << status;
    EXPECT_NE(std::string(status.message()).find(bad.why), std::string::npos)
        << bad.name << ": " << status;
    peer_->Join();
    EXPECT_EQ(received_, "") << bad.name;
  }
}

TEST_F(UpstreamCertificatesTest, RefusesUnknownIssuers) {
  const CertificateSpec good = {.common_name = "x", .dns_names = {"good.test"}};
  const Identity self_signed = MakeSelfSigned(good);
  EXPECT_EQ(Verify({&self_signed}).code(), StatusCode::kUnauthenticated);
  const Identity stranger = MakeRoot("stranger");
  const Identity strange_leaf = MakeIssued(stranger, good);
  EXPECT_EQ(Verify({&strange_leaf}).code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(Verify({&strange_leaf, &stranger}).code(), StatusCode::kUnauthenticated);
  // The name of a root that we trust, another key.
  const Identity impostor = MakeRoot("root");
  const Identity impostor_leaf = MakeIssued(impostor, good);
  EXPECT_EQ(Verify({&impostor_leaf, &impostor}).code(), StatusCode::kUnauthenticated);
}

TEST_F(UpstreamCertificatesTest, UT10_BuildsAndChecksChains) {
  const CertificateSpec good = {.common_name = "x", .dns_names = {"good.test"}};
  const auto refused = [&](const CertificateSpec& issuer_spec) {
    const Identity issuer = MakeIssued(root_, issuer_spec);
    const Identity leaf = MakeIssued(issuer, good);
    return Verify({&leaf, &issuer}).code() == StatusCode::kUnauthenticated;
  };
  EXPECT_FALSE(refused({.common_name = "between", .is_ca = true}));
  EXPECT_TRUE(refused({.common_name = "no CA", .dns_names = {"x.test"}}));
  EXPECT_TRUE(refused({.common_name = "may not sign certificates",
                       .is_ca = true,
                       .key_usage = std::vector{kDigitalSignature, kCrlSign}}));
  EXPECT_TRUE(refused(
      {.common_name = "for clients", .is_ca = true, .extended_key_usage = NID_client_auth}));
  EXPECT_TRUE(refused({.common_name = "expired", .is_ca = true, .not_after = kNow - 1}));
  EXPECT_TRUE(refused({.common_name = "narrow", .is_ca = true, .permitted_dns = "other.test"}));
  EXPECT_FALSE(refused({.common_name = "wide enough", .is_ca = true, .permitted_dns = "test"}));

  const Identity between = MakeIssued(root_, {.common_name = "between", .is_ca = true});
  const Identity leaf = MakeIssued(between, good);
  EXPECT_EQ(Verify({&leaf}).code(), StatusCode::kUnauthenticated);

  const Identity last = MakeIssued(root_, {.common_name = "last", .is_ca = true, .path_length = 0});
  const Identity beyond = MakeIssued(last, {.common_name = "beyond", .is_ca = true});
  const Identity far_leaf = MakeIssued(beyond, good);
  EXPECT_EQ(Verify({&far_leaf, &beyond, &last}).code(), StatusCode::kUnauthenticated);
}

// Whoever puts a server's own certificate among the roots means it, and `openssl req -x509` makes
// it a CA's.
TEST_F(UpstreamCertificatesTest, TakesARootThatServesItself) {
  const Identity own =
      MakeSelfSigned({.common_name = "own", .dns_names = {"good.test"}, .is_ca = true});
  const auto upstream =
      UpstreamTls::Create(UpstreamTls::ParseRoots(own.CertificatePem()).value()).value();
  const auto origin = MakeServerContext({&own});
  bssl::UniquePtr<SSL> ssl(SSL_new(origin.get()));
  SSL_set_accept_state(ssl.get());
  auto [mine, theirs] = MakeSocketPair();
  peer_.emplace(std::move(theirs), std::move(ssl));
  const auto stream = RunTask(
      context_, upstream->Connect(std::make_unique<TcpStream>(context_, std::move(mine)),
                                  Host::Parse("good.test").value(), AlpnOffer::kHttp2AndHttp1));
  EXPECT_TRUE(stream.ok()) << stream.status();
}

// Handshake messages and chains are bounded, so that none takes long to check.
TEST_F(UpstreamCertificatesTest, UT12_BoundsChains) {
  std::vector<Identity> made;
  made.push_back(MakeIssued(root_, {.common_name = "ca0", .is_ca = true}));
  for (int i = 1; i < 100; ++i) {
    made.push_back(
        MakeIssued(made.back(), {.common_name = "ca" + std::to_string(i), .is_ca = true}));
  }
  made.push_back(MakeIssued(made.back(), {.dns_names = {"good.test"}}));
  std::vector<const Identity*> chain;
  for (size_t i = made.size(); i-- > 0;) chain.push_back(&made[i]);
  EXPECT_EQ(Verify(chain).code(), StatusCode::kUnauthenticated);

  CertificateSpec huge = {.dns_names = {"good.test"}};
  for (int i = 0; i < 10000; ++i) huge.dns_names.push_back("n" + std::to_string(i) + ".test");
  const absl::Status status = Verify(huge);
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_NE(status.message().find("EXCESSIVE_MESSAGE_SIZE"), absl::string_view::npos) << status;

  const Identity leaf = MakeIssued(root_, {.dns_names = {"good.test"}});
  const Identity filler =
      MakeIssued(root_, {.common_name = "filler", .dns_names = {std::string(60000, 'x')}});
  std::vector<const Identity*> mebibyte(18, &filler);
  mebibyte.insert(mebibyte.begin(), &leaf);
  EXPECT_EQ(Verify(mebibyte).code(), StatusCode::kUnavailable);
}

TEST_F(UpstreamCertificatesTest, UT12_BoundsGraphsOfCertificates) {
  // Every one may have issued every other: all have one name and, by that, match as issuers.
  std::vector<Identity> made;
  const Identity first = MakeRoot("same");
  for (int i = 0; i < 60; ++i) {
    made.push_back(MakeIssued(first, {.common_name = "same", .is_ca = true}));
  }
  made.push_back(MakeIssued(first, {.dns_names = {"good.test"}}));
  std::vector<const Identity*> chain;
  for (size_t i = made.size(); i-- > 0;) chain.push_back(&made[i]);
  EXPECT_EQ(Verify(chain).code(), StatusCode::kUnauthenticated);
}

std::string Der(char tag, const std::string& value) {
  EXPECT_LT(value.size(), 128u);
  return tag + std::string(1, static_cast<char>(value.size())) + value;
}

// An OCSPResponse (RFC 6960 section 4.2.1) without a signature, of one certificate.
std::string OcspResponse(const X509* certificate, const std::string& status) {
  uint8_t* data = nullptr;
  const int size = i2d_ASN1_INTEGER(X509_get0_serialNumber(certificate), &data);
  const bssl::UniquePtr<uint8_t> owner(data);
  const std::string serial(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
  const std::string id = Der('\x30', Der('\x30', "") + Der('\x04', "") + Der('\x04', "") + serial);
  const std::string responses = Der('\x30', Der('\x30', id + status));
  const std::string tbs = Der('\x30', Der('\xa1', "") + Der('\x18', "20270115080000Z") + responses);
  const std::string type = Der('\x06', "\x2b\x06\x01\x05\x05\x07\x30\x01\x01");
  return Der('\x30', Der('\x0a', std::string(1, '\0')) +
                         Der('\xa0', Der('\x30', type + Der('\x04', Der('\x30', tbs)))));
}

TEST_F(UpstreamCertificatesTest, UT11_RefusesWhatIsStapledAsRevoked) {
  const Identity leaf = MakeIssued(root_, {.dns_names = {"good.test"}});
  const Identity other = MakeIssued(root_, {.dns_names = {"other.test"}});
  const std::string good = Der('\x80', "");
  const std::string revoked = Der('\xa1', Der('\x18', "20270114080000Z"));
  const absl::Status status =
      Verify({&leaf}, "good.test", OcspResponse(leaf.certificate.get(), revoked));
  EXPECT_EQ(status.code(), StatusCode::kUnauthenticated);
  EXPECT_NE(status.message().find("revoked"), absl::string_view::npos) << status;
  peer_->Join();
  EXPECT_EQ(received_, "");
  for (const std::string& staple :
       {OcspResponse(leaf.certificate.get(), good), OcspResponse(other.certificate.get(), revoked),
        std::string("nonsense")}) {
    EXPECT_EQ(Verify({&leaf}, "good.test", staple).code(), StatusCode::kOk);
  }
}

}  // namespace
}  // namespace sallyport::proxy
