#include "agent/proxy/tls/upstream.h"

#include <gtest/gtest.h>

#include <array>
#include <optional>

#include "agent/proxy/testing/run.h"
#include "agent/proxy/tls/testing/blocking_peer.h"

namespace sallyport::proxy {
namespace {

using absl::StatusCode;

const std::string kAddress("\xcb\x00\x71\x07", 4);  // 203.0.113.7

class UpstreamTest : public testing::Test {
 protected:
  absl::StatusOr<UpstreamTls::Connected> Connect(bssl::UniquePtr<SSL> origin,
                                                 const std::string& host,
                                                 BlockingPeer::Script script = {},
                                                 AlpnOffer offer = AlpnOffer::kHttp2AndHttp1) {
    auto [mine, theirs] = MakeSocketPair();
    SSL_set_accept_state(origin.get());
    peer_.emplace(std::move(theirs), std::move(origin), std::move(script));
    auto transport = std::make_unique<TcpStream>(context_, std::move(mine));
    transport->SetDeadline(std::chrono::steady_clock::now() + std::chrono::seconds(20));
    return RunTask(context_,
                   upstream_->Connect(std::move(transport), Host::Parse(host).value(), offer));
  }
  // To an origin that shows this chain. What the origin received goes to received_.
  absl::Status Verify(const std::vector<const Identity*>& chain,
                      const std::string& host = "good.test") {
    const auto origin = MakeServerContext(chain);
    const auto stream = Connect(bssl::UniquePtr<SSL>(SSL_new(origin.get())), host,
                                [this](SSL* ssl, int) { received_ = ReadAll(ssl); });
    return stream.status();
  }
  absl::Status Verify(const CertificateSpec& spec, const std::string& host = "good.test") {
    const Identity leaf = MakeIssued(root_, spec);
    return Verify({&leaf}, host);
  }

  boost::asio::io_context context_{1};
  const Identity root_ = MakeRoot("root");
  const std::shared_ptr<const UpstreamTls::Roots> roots_ =
      UpstreamTls::ParseRoots(root_.CertificatePem()).value();
  std::unique_ptr<UpstreamTls> upstream_ = UpstreamTls::Create(roots_).value();
  std::string received_;
  std::optional<BlockingPeer> peer_;
};

struct Good {
  std::string host;
  CertificateSpec spec;
};

TEST_F(UpstreamTest, TakesGoodCertificates) {
  const Good cases[] = {
      {"good.test", {.dns_names = {"good.test"}}},
      {"good.test", {.dns_names = {"other.test", "GOOD.test"}}},
      {"a.good.test", {.dns_names = {"*.good.test"}}},
      {"_a_.good.test", {.dns_names = {"_a_.good.test"}}},
      {"good.test", {.dns_names = {"good.test"}, .extended_key_usage = NID_server_auth}},
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

TEST_F(UpstreamTest, RefusesBadCertificates) {
  const std::string expired = "certificate has expired";
  const std::string mismatch = "Hostname mismatch";
  const Bad cases[] = {
      {"expired", "good.test", {.dns_names = {"good.test"}, .not_after = kLongAgo + 1}, expired},
      {"not yet valid",
       "good.test",
       {.dns_names = {"good.test"}, .not_before = kFarFuture, .not_after = kFarFuture + 1},
       "certificate is not yet valid"},
      {"wrong host", "good.test", {.dns_names = {"wrong.test"}}, mismatch},
      {"parent", "a.good.test", {.dns_names = {"good.test"}}, mismatch},
      {"child", "good.test", {.dns_names = {"a.good.test"}}, mismatch},
      {"common name alone", "good.test", {.common_name = "good.test"}, mismatch},
      {"common name beside an address",
       "good.test",
       {.common_name = "good.test", .addresses = {kAddress}},
       mismatch},
      {"no name", "good.test", {.common_name = {}}, mismatch},
      {"NUL", "good.test", {.dns_names = {std::string("good.test\0.evil.test", 20)}}, mismatch},
      {"trailing NUL", "good.test", {.dns_names = {std::string("good.test\0", 10)}}, mismatch},
      {"star", "good.test", {.dns_names = {"*"}}, mismatch},
      {"star of a top level", "good.test", {.dns_names = {"*.test"}}, mismatch},
      {"partial star", "good.test", {.dns_names = {"g*.test", "*d.test", "g*d.test"}}, mismatch},
      {"partial star below",
       "a.good.test",
       {.dns_names = {"a*.good.test", "*a.good.test"}},
       mismatch},
      {"two stars", "a.b.good.test", {.dns_names = {"*.*.good.test"}}, mismatch},
      {"star over two labels", "a.b.good.test", {.dns_names = {"*.good.test"}}, mismatch},
      {"star over no label", "good.test", {.dns_names = {"*.good.test"}}, mismatch},
      {"star over an underscore", "_a.good.test", {.dns_names = {"*.good.test"}}, mismatch},
      {"star within", "a.b.good.test", {.dns_names = {"a.*.good.test"}}, mismatch},
      {"star in punycode", "xn--bcher-kva.good.test", {.dns_names = {"xn--*.good.test"}}, mismatch},
      {"list in one name", "good.test", {.dns_names = {"good.test, DNS:evil.test"}}, mismatch},
      {"address as a name", "203.0.113.7", {.dns_names = {"203.0.113.7"}}, "IP address mismatch"},
      {"address as a common name",
       "203.0.113.7",
       {.common_name = "203.0.113.7"},
       "IP address mismatch"},
      {"other address", "203.0.113.8", {.addresses = {kAddress}}, "IP address mismatch"},
      {"name as an address", "good.test", {.addresses = {kAddress}}, mismatch},
      {"client certificate",
       "good.test",
       {.dns_names = {"good.test"}, .extended_key_usage = NID_client_auth},
       "unsupported certificate purpose"},
  };
  for (const Bad& bad : cases) {
    const absl::Status status = Verify(bad.spec, bad.host);
    EXPECT_EQ(status.code(), StatusCode::kUnauthenticated) << bad.name << ": " << status;
    EXPECT_NE(std::string(status.message()).find(bad.why), std::string::npos)
        << bad.name << ": " << status;
    EXPECT_EQ(peer_->Join().shaken, false) << bad.name;
  }
  EXPECT_EQ(received_, "");
}

TEST_F(UpstreamTest, RefusesUnknownIssuers) {
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

TEST_F(UpstreamTest, BuildsAndChecksChains) {
  const CertificateSpec good = {.common_name = "x", .dns_names = {"good.test"}};
  const Identity between = MakeIssued(root_, {.common_name = "between", .is_ca = true});
  const Identity leaf = MakeIssued(between, good);
  EXPECT_TRUE(Verify({&leaf, &between}).ok());
  EXPECT_EQ(Verify({&leaf}).code(), StatusCode::kUnauthenticated);

  const Identity not_ca = MakeIssued(root_, {.common_name = "between", .dns_names = {"x.test"}});
  const Identity below_leaf = MakeIssued(not_ca, good);
  EXPECT_EQ(Verify({&below_leaf, &not_ca}).code(), StatusCode::kUnauthenticated);

  const Identity last = MakeIssued(root_, {.common_name = "last", .is_ca = true, .path_length = 0});
  const Identity beyond = MakeIssued(last, {.common_name = "beyond", .is_ca = true});
  const Identity far_leaf = MakeIssued(beyond, good);
  EXPECT_EQ(Verify({&far_leaf, &beyond, &last}).code(), StatusCode::kUnauthenticated);

  const Identity narrow =
      MakeIssued(root_, {.common_name = "narrow", .is_ca = true, .permitted_dns = "other.test"});
  const Identity outside = MakeIssued(narrow, good);
  EXPECT_EQ(Verify({&outside, &narrow}).code(), StatusCode::kUnauthenticated);

  // As OpenSSL does, BoringSSL lets a CA's certificate serve a site of its name.
  const Identity ca_leaf =
      MakeIssued(root_, {.common_name = "x", .dns_names = {"good.test"}, .is_ca = true});
  EXPECT_TRUE(Verify({&ca_leaf}).ok());
}

TEST_F(UpstreamTest, BoundsChains) {
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
  EXPECT_EQ(Verify(huge).code(), StatusCode::kUnavailable);
}

TEST_F(UpstreamTest, BoundsGraphsOfCertificates) {
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

TEST_F(UpstreamTest, RefusesOldVersions) {
  const Identity leaf = MakeIssued(root_, {.dns_names = {"good.test"}});
  const auto origin = MakeServerContext({&leaf});
  for (const uint16_t version : {TLS1_VERSION, TLS1_1_VERSION}) {
    bssl::UniquePtr<SSL> ssl(SSL_new(origin.get()));
    SSL_set_min_proto_version(ssl.get(), TLS1_VERSION);
    SSL_set_max_proto_version(ssl.get(), version);
    EXPECT_EQ(Connect(std::move(ssl), "good.test").status().code(), StatusCode::kUnavailable);
  }
  bssl::UniquePtr<SSL> ssl(SSL_new(origin.get()));
  SSL_set_max_proto_version(ssl.get(), TLS1_2_VERSION);
  EXPECT_TRUE(Connect(std::move(ssl), "good.test").ok());
}

// An origin that speaks what `choice` says, and refuses to speak anything else.
int Choose(SSL*, const uint8_t** out, uint8_t* size, const uint8_t* offer, unsigned offer_size,
           void* choice) {
  const auto& name = *static_cast<const std::string*>(choice);
  const auto* wanted = reinterpret_cast<const uint8_t*>(name.data());
  uint8_t* chosen = nullptr;
  const int result = SSL_select_next_proto(&chosen, size, wanted,
                                           static_cast<unsigned>(name.size()), offer, offer_size);
  *out = chosen;
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

TEST_F(UpstreamTest, SaysWhichHttpTheOriginChose) {
  struct Case {
    std::string origin;  // In its order; empty: it does not know ALPN.
    AlpnOffer offer;
    bool shaken;
    std::string chosen;
  };
  const std::string h2("\x02h2");
  const std::string h1("\x08http/1.1");
  const Case cases[] = {
      {h2, AlpnOffer::kHttp2AndHttp1, true, "h2"},
      {h2 + h1, AlpnOffer::kHttp2AndHttp1, true, "h2"},
      {h1, AlpnOffer::kHttp2AndHttp1, true, "http/1.1"},
      {"", AlpnOffer::kHttp2AndHttp1, true, ""},
      {h2 + h1, AlpnOffer::kHttp1, true, "http/1.1"},
      {h2, AlpnOffer::kHttp1, false, ""},
      {"\x02h3", AlpnOffer::kHttp2AndHttp1, false, ""},
  };
  const Identity leaf = MakeIssued(root_, {.dns_names = {"good.test"}});
  for (const Case& c : cases) {
    const auto origin = MakeServerContext({&leaf});
    std::string choice = c.origin;
    if (!choice.empty()) SSL_CTX_set_alpn_select_cb(origin.get(), &Choose, &choice);
    const auto connected =
        Connect(bssl::UniquePtr<SSL>(SSL_new(origin.get())), "good.test", {}, c.offer);
    EXPECT_EQ(connected.ok(), c.shaken) << c.origin << ": " << connected.status();
    if (connected.ok()) EXPECT_EQ(connected->http2, c.chosen == "h2") << c.origin;
    EXPECT_EQ(peer_->Join().alpn, c.chosen) << c.origin;
  }
}

TEST_F(UpstreamTest, SendsNoClientCertificate) {
  const Identity leaf = MakeIssued(root_, {.dns_names = {"good.test"}});
  const auto origin = MakeServerContext({&leaf});
  SSL_CTX_set_verify(origin.get(), SSL_VERIFY_PEER, nullptr);
  EXPECT_TRUE(Connect(bssl::UniquePtr<SSL>(SSL_new(origin.get())), "good.test").ok());
  EXPECT_EQ(peer_->Join().certificate, nullptr);
}

class ResumptionTest : public UpstreamTest {
 protected:
  // Whether a connection to `host` was a resumed one. Reads the origin's first bytes, with which
  // its tickets come.
  bool Resumes(const std::string& host, uint16_t version,
               AlpnOffer offer = AlpnOffer::kHttp2AndHttp1) {
    bssl::UniquePtr<SSL> ssl(SSL_new(origin_.get()));
    SSL_set_max_proto_version(ssl.get(), version);
    auto connected =
        Connect(std::move(ssl), host, [](SSL* ssl, int) { WriteAll(ssl, "x"); }, offer);
    EXPECT_TRUE(connected.ok()) << connected.status();
    if (!connected.ok()) return false;
    std::array<char, 8> buffer;
    EXPECT_EQ(RunTask(context_, connected->stream->Read(buffer)).value_or(0), 1u);
    return peer_->Join().resumed;
  }

  const Identity leaf_ = MakeIssued(root_, {.dns_names = {"good.test", "www.good.test"}});
  const bssl::UniquePtr<SSL_CTX> origin_ = MakeServerContext({&leaf_});
};

TEST_F(ResumptionTest, IsForTheSameHostOnly) {
  for (const uint16_t version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    upstream_ = UpstreamTls::Create(roots_).value();
    EXPECT_FALSE(Resumes("good.test", version));
    EXPECT_TRUE(Resumes("good.test", version));
    EXPECT_TRUE(Resumes("good.test", version));
    EXPECT_FALSE(Resumes("www.good.test", version));
  }
}

TEST_F(ResumptionTest, IsForTheSameOfferOnly) {
  EXPECT_FALSE(Resumes("good.test", TLS1_3_VERSION));
  EXPECT_FALSE(Resumes("good.test", TLS1_3_VERSION, AlpnOffer::kHttp1));
  EXPECT_TRUE(Resumes("good.test", TLS1_3_VERSION, AlpnOffer::kHttp1));
  EXPECT_TRUE(Resumes("good.test", TLS1_3_VERSION));
}

TEST_F(ResumptionTest, IsForTheSameContainerOnly) {
  EXPECT_FALSE(Resumes("good.test", TLS1_3_VERSION));
  upstream_ = UpstreamTls::Create(roots_).value();
  EXPECT_FALSE(Resumes("good.test", TLS1_3_VERSION));
}

TEST_F(UpstreamTest, SaysWhatElseWentWrong) {
  {
    auto [mine, theirs] = MakeSocketPair();
    theirs.Reset();
    EXPECT_EQ(
        RunTask(context_, upstream_->Connect(std::make_unique<TcpStream>(context_, std::move(mine)),
                                             Host::Parse("good.test").value(), AlpnOffer::kHttp1))
            .status()
            .code(),
        StatusCode::kUnavailable);
  }
  {
    auto [mine, theirs] = MakeSocketPair();
    auto transport = std::make_unique<TcpStream>(context_, std::move(mine));
    transport->SetDeadline(std::chrono::steady_clock::now() + std::chrono::milliseconds(20));
    EXPECT_EQ(
        RunTask(context_, upstream_->Connect(std::move(transport), Host::Parse("good.test").value(),
                                             AlpnOffer::kHttp1))
            .status()
            .code(),
        StatusCode::kDeadlineExceeded);
  }
}

TEST_F(UpstreamTest, MayBeUsedByManyThreadsWithOneSetOfRoots) {
  const Identity leaf = MakeIssued(root_, {.dns_names = {"good.test"}});
  const auto origin = MakeServerContext({&leaf});
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const auto upstream = UpstreamTls::Create(roots_).value();
      for (int j = 0; j < 8; ++j) {
        boost::asio::io_context context{1};
        auto [mine, theirs] = MakeSocketPair();
        bssl::UniquePtr<SSL> ssl(SSL_new(origin.get()));
        SSL_set_accept_state(ssl.get());
        BlockingPeer peer(std::move(theirs), std::move(ssl));
        EXPECT_TRUE(RunTask(context,
                            upstream->Connect(std::make_unique<TcpStream>(context, std::move(mine)),
                                              Host::Parse("good.test").value(), AlpnOffer::kHttp1))
                        .ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(RootsTest, NeedsAtLeastOne) {
  const std::string pem = MakeRoot("root").CertificatePem();
  EXPECT_TRUE(UpstreamTls::ParseRoots(pem + pem).ok());
  EXPECT_EQ(UpstreamTls::ParseRoots("").status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(UpstreamTls::ParseRoots("nonsense").status().code(), StatusCode::kFailedPrecondition);
  const std::string broken =
      "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
      "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n"
      "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
  EXPECT_EQ(UpstreamTls::ParseRoots(broken).status().code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(UpstreamTls::ParseRoots(broken + pem).ok());
  EXPECT_EQ(UpstreamTls::ParseRoots(pem.substr(0, pem.size() / 2)).status().code(),
            StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace sallyport::proxy
