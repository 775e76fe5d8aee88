#include "agent/proxy/tls/upstream.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <optional>
#include <thread>
#include <vector>

#include "agent/proxy/testing/run.h"
#include "agent/proxy/tls/testing/blocking_peer.h"

namespace sallyport::proxy {
namespace {

using absl::StatusCode;

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

  boost::asio::io_context context_{1};
  const Identity root_ = MakeRoot("root");
  const std::shared_ptr<const UpstreamTls::Roots> roots_ =
      UpstreamTls::ParseRoots(root_.CertificatePem()).value();
  time_t now_ = 1800000000;
  std::unique_ptr<UpstreamTls> upstream_ =
      UpstreamTls::Create(roots_, [this] { return now_; }).value();
  std::optional<BlockingPeer> peer_;
};

TEST_F(UpstreamTest, UT22_RefusesOldVersions) {
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

std::vector<uint16_t> Numbers(const uint8_t* data, size_t size) {
  std::vector<uint16_t> numbers;
  for (size_t i = 0; i + 1 < size; i += 2) {
    numbers.push_back(static_cast<uint16_t>(data[i] * 256 + data[i + 1]));
  }
  return numbers;
}

struct Offered {
  std::vector<uint16_t> versions, ciphers, groups, signatures;
};

ssl_select_cert_result_t TakeOffer(const SSL_CLIENT_HELLO* hello) {
  auto* const offer = static_cast<Offered*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(hello->ssl)));
  const auto read = [hello](uint16_t extension, size_t prefix) {
    const uint8_t* data = nullptr;
    size_t size = 0;
    SSL_early_callback_ctx_extension_get(hello, extension, &data, &size);
    return size < prefix ? std::vector<uint16_t>() : Numbers(data + prefix, size - prefix);
  };
  offer->ciphers = Numbers(hello->cipher_suites, hello->cipher_suites_len);
  std::sort(offer->ciphers.begin(), offer->ciphers.end());
  offer->versions = read(TLSEXT_TYPE_supported_versions, 1);
  offer->groups = read(TLSEXT_TYPE_supported_groups, 2);
  offer->signatures = read(TLSEXT_TYPE_signature_algorithms, 2);
  return ssl_select_cert_success;
}

// Whatever a container's client would take, its origins are asked for this.
TEST_F(UpstreamTest, UT22_OffersNothingWeak) {
  const Identity leaf = MakeIssued(root_, {.dns_names = {"good.test"}});
  const auto origin = MakeServerContext({&leaf});
  Offered offer;
  SSL_CTX_set_app_data(origin.get(), &offer);
  SSL_CTX_set_select_certificate_cb(origin.get(), &TakeOffer);
  EXPECT_TRUE(Connect(bssl::UniquePtr<SSL>(SSL_new(origin.get())), "good.test").ok());
  using Numbers = std::vector<uint16_t>;
  EXPECT_EQ(offer.versions, (Numbers{TLS1_3_VERSION, TLS1_2_VERSION}));
  // AEADs with ephemeral keys: those of TLS 1.3, then ECDHE with AES-GCM and ChaCha20.
  EXPECT_EQ(offer.ciphers,
            (Numbers{0x1301, 0x1302, 0x1303, 0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca8, 0xcca9}));
  EXPECT_EQ(offer.groups, (Numbers{SSL_CURVE_X25519, SSL_CURVE_SECP256R1, SSL_CURVE_SECP384R1}));
  EXPECT_EQ(offer.signatures,
            (Numbers{SSL_SIGN_ECDSA_SECP256R1_SHA256, SSL_SIGN_RSA_PSS_RSAE_SHA256,
                     SSL_SIGN_RSA_PKCS1_SHA256, SSL_SIGN_ECDSA_SECP384R1_SHA384,
                     SSL_SIGN_RSA_PSS_RSAE_SHA384, SSL_SIGN_RSA_PKCS1_SHA384,
                     SSL_SIGN_RSA_PSS_RSAE_SHA512, SSL_SIGN_RSA_PKCS1_SHA512}));
}

// Somebody on the way takes TLS 1.3 out of the offer; the origin's random number tells (RFC 8446
// section 4.1.3).
TEST_F(UpstreamTest, UT16_NoticesADowngrade) {
  const Identity leaf = MakeIssued(root_, {.dns_names = {"good.test"}});
  const auto origin = MakeServerContext({&leaf});
  bssl::UniquePtr<SSL> ssl(SSL_new(origin.get()));
  SSL_set_accept_state(ssl.get());
  auto [mine, way_in] = MakeSocketPair();
  auto [way_out, theirs] = MakeSocketPair();
  peer_.emplace(std::move(theirs), std::move(ssl));
  std::thread way([in = way_in.get(), out = way_out.get()] {
    std::array<char, 16384> buffer;
    const auto receive = [&buffer](int fd) {
      const ssize_t count = ::recv(fd, buffer.data(), buffer.size(), 0);
      return std::string(buffer.data(), static_cast<size_t>(std::max<ssize_t>(count, 0)));
    };
    std::string hello = receive(in);
    const std::string supported_versions("\x00\x2b\x00\x05\x04\x03\x04\x03\x03", 9);
    const size_t at = hello.find(supported_versions);
    ASSERT_NE(at, std::string::npos);
    hello[at] = hello[at + 1] = '\x5b';
    ASSERT_GT(::send(out, hello.data(), hello.size(), 0), 0);
    const std::string answer = receive(out);
    ASSERT_GT(::send(in, answer.data(), answer.size(), 0), 0);
  });
  const auto stream =
      RunTask(context_, upstream_->Connect(std::make_unique<TcpStream>(context_, std::move(mine)),
                                           Host::Parse("good.test").value(), AlpnOffer::kHttp1));
  way.join();
  way_out.Reset();
  EXPECT_EQ(stream.status().code(), StatusCode::kUnavailable);
  EXPECT_NE(stream.status().message().find("TLS13_DOWNGRADE"), absl::string_view::npos)
      << stream.status();
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

TEST_F(UpstreamTest, UT15_SendsNoClientCertificate) {
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

TEST_F(ResumptionTest, UT18_IsForTheSameHostOnly) {
  for (const uint16_t version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    upstream_ = UpstreamTls::Create(roots_).value();
    EXPECT_FALSE(Resumes("good.test", version));
    EXPECT_TRUE(Resumes("good.test", version));
    EXPECT_TRUE(Resumes("good.test", version));
    EXPECT_FALSE(Resumes("www.good.test", version));
  }
}

TEST_F(ResumptionTest, UT18_IsForTheSameOfferOnly) {
  EXPECT_FALSE(Resumes("good.test", TLS1_3_VERSION));
  EXPECT_FALSE(Resumes("good.test", TLS1_3_VERSION, AlpnOffer::kHttp1));
  EXPECT_TRUE(Resumes("good.test", TLS1_3_VERSION, AlpnOffer::kHttp1));
  EXPECT_TRUE(Resumes("good.test", TLS1_3_VERSION));
}

TEST_F(ResumptionTest, UT18_IsForTheSameContainerOnly) {
  EXPECT_FALSE(Resumes("good.test", TLS1_3_VERSION));
  upstream_ = UpstreamTls::Create(roots_).value();
  EXPECT_FALSE(Resumes("good.test", TLS1_3_VERSION));
}

TEST_F(UpstreamTest, ResumesNoSessionBeyondTheCertificate) {
  const Identity leaf = MakeIssued(root_, {.dns_names = {"good.test"}, .not_after = now_ + 1800});
  const auto origin = MakeServerContext({&leaf});
  const auto connect = [&] {
    auto stream = Connect(bssl::UniquePtr<SSL>(SSL_new(origin.get())), "good.test",
                          [](SSL* ssl, int) { WriteAll(ssl, "x"); });
    std::array<char, 8> buffer;
    if (stream.ok()) EXPECT_EQ(RunTask(context_, stream->stream->Read(buffer)).value_or(0), 1u);
    return stream.status();
  };
  EXPECT_TRUE(connect().ok());
  now_ += 1799;
  EXPECT_TRUE(connect().ok());
  EXPECT_TRUE(peer_->Join().resumed);
  now_ += 1;
  const absl::Status expired = connect();
  EXPECT_EQ(expired.code(), StatusCode::kUnauthenticated) << expired;
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

TEST(RootsTest, UT19_NeedsAtLeastOne) {
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
