#include "agent/proxy/tls/leaf.h"

#include <gtest/gtest.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <array>
#include <optional>
#include <thread>
#include <vector>

#include "agent/proxy/testing/run.h"
#include "agent/proxy/tls/testing/blocking_peer.h"
#include "agent/proxy/tls/tls_stream.h"

namespace sallyport::proxy {
namespace {

using absl::StatusCode;

constexpr time_t kNow = 1800000000;

// One per client connection, as BoringSSL hands them out.
int KeepSession(SSL* ssl, SSL_SESSION* session) {
  auto* kept = static_cast<bssl::UniquePtr<SSL_SESSION>*>(SSL_get_app_data(ssl));
  if (kept == nullptr) return 0;
  kept->reset(session);
  return 1;
}

class LeafTest : public testing::Test {
 protected:
  LeafTest() {
    SSL_CTX_set_session_cache_mode(client_.get(), SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(client_.get(), &KeepSession);
  }

  static std::unique_ptr<LeafAuthority> MakeAuthority(const Identity& root) {
    return LeafAuthority::Create(root.CertificateDer(), root.KeyDer(), [] { return kNow; }).value();
  }

  // Has `client` shake hands with us as `host`, and leaves its outcome in peer_.
  absl::StatusOr<LeafAuthority::Accepted> Accept(bssl::UniquePtr<SSL> client,
                                                 const std::string& host,
                                                 BlockingPeer::Script script = {}) {
    auto [mine, theirs] = MakeSocketPair();
    peer_.emplace(std::move(theirs), std::move(client), std::move(script));
    return AcceptOn(std::move(mine), "", host);
  }
  absl::StatusOr<LeafAuthority::Accepted> AcceptOn(UniqueFd fd, std::string early,
                                                   const std::string& host) {
    auto transport = std::make_unique<TcpStream>(*worker_, std::move(fd));
    transport->SetDeadline(std::chrono::steady_clock::now() + std::chrono::seconds(20));
    return RunTask(*worker_, authority_->Accept(std::move(transport), std::move(early),
                                                Host::Parse(host).value(), protocols_));
  }

  // A client that offers `session`, and whether the server took it. Replaces `session` with a new
  // one.
  bool Resumes(const std::string& host, bssl::UniquePtr<SSL_SESSION>* session, uint16_t version) {
    bssl::UniquePtr<SSL> client = MakeClient(client_.get(), host);
    SSL_set_max_proto_version(client.get(), version);
    if (*session != nullptr) SSL_set_session(client.get(), session->get());
    SSL_set_app_data(client.get(), session);
    auto accepted = Accept(std::move(client), host, [](SSL* ssl, int) {
      WriteAll(ssl, "x");
      ReadAll(ssl);  // The tickets of TLS 1.3 come with the first bytes.
    });
    EXPECT_TRUE(accepted.ok()) << accepted.status();
    if (!accepted.ok()) return false;
    const std::string_view answer = "y";
    EXPECT_TRUE(RunTask(*worker_, accepted->stream->Write({&answer, 1})).ok());
    accepted->stream->Close(Stream::How::kGraceful);
    return peer_->Join().resumed;
  }

  boost::asio::io_context context_{1};
  boost::asio::io_context other_context_{1};
  boost::asio::io_context* worker_ = &context_;  // That accepts.
  const Identity root_ = MakeRoot("container 1");
  std::unique_ptr<LeafAuthority> authority_ = MakeAuthority(root_);
  const bssl::UniquePtr<SSL_CTX> client_ = MakeClientContext(root_.CertificatePem(), kNow);
  std::vector<std::string> protocols_ = {"h2", "http/1.1"};
  std::optional<BlockingPeer> peer_;
};

TEST_F(LeafTest, TL14_IsAcceptedByAStrictClientInBothVersions) {
  const std::string hosts[] = {"good.test", "_odd_.xn--bcher-kva.test", "203.0.113.7",
                               "[2001:db8::1]"};
  for (const std::string& host : hosts) {
    for (const uint16_t version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      bssl::UniquePtr<SSL> client = MakeClient(client_.get(), host);
      SSL_set_max_proto_version(client.get(), version);
      const auto accepted = Accept(std::move(client), host);
      EXPECT_TRUE(peer_->Join().shaken) << peer_->Join().error;
      ASSERT_TRUE(accepted.ok()) << accepted.status();
      EXPECT_EQ(accepted->tls_version, peer_->Join().version);
      EXPECT_EQ(accepted->alpn, "");
    }
  }
}

TEST_F(LeafTest, CarriesBytes) {
  std::string received;
  bool clean = false;
  auto accepted = Accept(MakeClient(client_.get(), "good.test"), "good.test", [&](SSL* ssl, int) {
    WriteAll(ssl, "question");
    received = ReadAll(ssl, &clean);
  });
  ASSERT_TRUE(accepted.ok()) << accepted.status();
  std::array<char, 64> buffer;
  EXPECT_EQ(RunTask(context_, accepted->stream->Read(buffer)).value(), 8u);
  const std::string_view answer = "answer";
  EXPECT_TRUE(RunTask(context_, accepted->stream->Write({&answer, 1})).ok());
  EXPECT_TRUE(RunTask(context_, accepted->stream->ShutdownWrite()).ok());
  peer_->Join();
  EXPECT_EQ(received, "answer");
  EXPECT_TRUE(clean);
}

TEST_F(LeafTest, H226_NegotiatesWhatIsOfferedOrRefuses) {
  const auto offer = [this](const std::string& protocols) {
    bssl::UniquePtr<SSL> client = MakeClient(client_.get(), "good.test");
    SSL_set_alpn_protos(client.get(), reinterpret_cast<const uint8_t*>(protocols.data()),
                        static_cast<unsigned>(protocols.size()));
    return Accept(std::move(client), "good.test");
  };
  EXPECT_EQ(offer("\x08http/1.1\x02h2")->alpn, "h2");
  EXPECT_EQ(peer_->Join().alpn, "h2");
  EXPECT_EQ(offer("\x08http/1.1")->alpn, "http/1.1");
  EXPECT_EQ(offer("\x02h3\x06spdy/3").status().code(), StatusCode::kInvalidArgument);
  protocols_ = {"http/1.1"};
  EXPECT_EQ(offer("\x02h2\x08http/1.1")->alpn, "http/1.1");
  EXPECT_EQ(peer_->Join().alpn, "http/1.1");
  for (const char* odd : {"\x02h2", "\x08http/1.0", "\x02h3\x08spdy/3.1", "\x08HTTP/1.1"}) {
    EXPECT_EQ(offer(odd).status().code(), StatusCode::kInvalidArgument) << odd;
    EXPECT_EQ(peer_->Join().error, "TLSV1_ALERT_NO_APPLICATION_PROTOCOL") << odd;
  }
}

TEST_F(LeafTest, TL05_RefusesOldVersionsAndWeakCiphers) {
  bssl::UniquePtr<SSL> old = MakeClient(client_.get(), "good.test");
  SSL_set_min_proto_version(old.get(), TLS1_VERSION);
  SSL_set_max_proto_version(old.get(), TLS1_1_VERSION);
  EXPECT_EQ(Accept(std::move(old), "good.test").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(peer_->Join().error, "TLSV1_ALERT_PROTOCOL_VERSION");
  for (const char* cipher :
       {"AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "ECDHE-RSA-AES128-GCM-SHA256"}) {
    bssl::UniquePtr<SSL> weak = MakeClient(client_.get(), "good.test");
    SSL_set_max_proto_version(weak.get(), TLS1_2_VERSION);
    ASSERT_TRUE(SSL_set_strict_cipher_list(weak.get(), cipher));
    EXPECT_EQ(Accept(std::move(weak), "good.test").status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(peer_->Join().error, "HANDSHAKE_FAILURE_ON_CLIENT_HELLO");
  }
}

TEST_F(LeafTest, TL22_SaysThatTheClientRefusedTheCertificate) {
  const Identity other = MakeRoot("container 2");
  const auto stranger = MakeClientContext(other.CertificatePem(), kNow);
  for (const uint16_t version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    bssl::UniquePtr<SSL> client = MakeClient(stranger.get(), "good.test");
    SSL_set_max_proto_version(client.get(), version);
    const auto accepted = Accept(std::move(client), "good.test");
    EXPECT_EQ(accepted.status().code(), StatusCode::kUnauthenticated) << accepted.status();
    EXPECT_EQ(peer_->Join().error, "CERTIFICATE_VERIFY_FAILED");
  }
  // A certificate for another name than the client wants.
  EXPECT_EQ(Accept(MakeClient(client_.get(), "good.test"), "evil.test").status().code(),
            StatusCode::kUnauthenticated);
}

TEST_F(LeafTest, TL22_NoticesClientsThatLeaveAtTheCertificate) {
  SSL_CTX_set_custom_verify(client_.get(), SSL_VERIFY_PEER,
                            [](SSL*, uint8_t*) { return ssl_verify_retry; });
  for (const uint16_t version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    bssl::UniquePtr<SSL> client = MakeClient(client_.get(), "good.test");
    SSL_set_max_proto_version(client.get(), version);
    const auto accepted = Accept(std::move(client), "good.test");
    EXPECT_EQ(accepted.status().code(), StatusCode::kUnauthenticated) << accepted.status();
    EXPECT_NE(accepted.status().message().find("without an alert"), absl::string_view::npos);
  }
}

TEST_F(LeafTest, TL22_NoticesClientsThatLeaveWithoutARequest) {
  auto accepted = Accept(MakeClient(client_.get(), "good.test"), "good.test",
                         [](SSL* ssl, int) { SSL_shutdown(ssl); });
  ASSERT_TRUE(accepted.ok()) << accepted.status();
  EXPECT_EQ(accepted->stream->left_unheard(), "");
  std::array<char, 8> buffer;
  EXPECT_EQ(RunTask(context_, accepted->stream->Read(buffer)).value(), 0u);
  EXPECT_EQ(accepted->stream->left_unheard(), "close_notify");

  accepted = Accept(MakeClient(client_.get(), "good.test"), "good.test",
                    [](SSL* ssl, int) { SSL_send_fatal_alert(ssl, SSL_AD_BAD_CERTIFICATE); });
  ASSERT_TRUE(accepted.ok()) << accepted.status();
  EXPECT_FALSE(RunTask(context_, accepted->stream->Read(buffer)).ok());
  EXPECT_EQ(accepted->stream->left_unheard(), "TLS failed: SSLV3_ALERT_BAD_CERTIFICATE");

  accepted = Accept(MakeClient(client_.get(), "good.test"), "good.test",
                    [](SSL* ssl, int) { WriteAll(ssl, "x"); });
  ASSERT_TRUE(accepted.ok()) << accepted.status();
  EXPECT_EQ(RunTask(context_, accepted->stream->Read(buffer)).value(), 1u);
  EXPECT_FALSE(RunTask(context_, accepted->stream->Read(buffer)).ok());
  EXPECT_EQ(accepted->stream->left_unheard(), "");
}

TEST_F(LeafTest, TL10_BoundsKeyUpdates) {
  auto accepted = Accept(MakeClient(client_.get(), "good.test"), "good.test", [](SSL* ssl, int) {
    for (int i = 0; i < 33; ++i) {
      SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
      SSL_write(ssl, "", 0);
    }
    ReadAll(ssl);
  });
  ASSERT_TRUE(accepted.ok()) << accepted.status();
  std::array<char, 8> buffer;
  const auto read = RunTask(context_, accepted->stream->Read(buffer));
  EXPECT_EQ(read.status().message(), "TLS failed: TOO_MANY_KEY_UPDATES");
}

TEST_F(LeafTest, TL08_ResumesForTheSameHostOnly) {
  for (const uint16_t version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    bssl::UniquePtr<SSL_SESSION> session;
    EXPECT_FALSE(Resumes("good.test", &session, version));
    ASSERT_NE(session, nullptr);
    EXPECT_TRUE(Resumes("good.test", &session, version));
    EXPECT_FALSE(Resumes("evil.test", &session, version));
    EXPECT_TRUE(Resumes("evil.test", &session, version));
  }
}

TEST_F(LeafTest, ResumesOnEveryWorker) {
  for (const uint16_t version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    bssl::UniquePtr<SSL_SESSION> session;
    EXPECT_FALSE(Resumes("good.test", &session, version));
    for (auto* worker : {&other_context_, &context_, &other_context_}) {
      worker_ = worker;
      EXPECT_TRUE(Resumes("good.test", &session, version));
    }
    worker_ = &context_;
  }
}

TEST_F(LeafTest, MayBeUsedByManyThreads) {
  std::vector<std::thread> workers;
  for (int i = 0; i < 4; ++i) {
    workers.emplace_back([this] {
      for (int j = 0; j < 16; ++j) {
        boost::asio::io_context context{1};
        auto [mine, theirs] = MakeSocketPair();
        const std::string host = "n" + std::to_string(j) + ".test";
        BlockingPeer peer(std::move(theirs), MakeClient(client_.get(), host));
        const auto accepted = RunTask(
            context, authority_->Accept(std::make_unique<TcpStream>(context, std::move(mine)), "",
                                        Host::Parse(host).value(), protocols_));
        EXPECT_TRUE(accepted.ok()) << accepted.status();
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
}

TEST_F(LeafTest, TL08_ResumesWithinOneContainerOnly) {
  bssl::UniquePtr<SSL_SESSION> session;
  Resumes("good.test", &session, TLS1_3_VERSION);
  authority_ = MakeAuthority(root_);
  EXPECT_FALSE(Resumes("good.test", &session, TLS1_3_VERSION));
}

TEST_F(LeafTest, TL09_TakesNoEarlyData) {
  bssl::UniquePtr<SSL_SESSION> session;
  Resumes("good.test", &session, TLS1_3_VERSION);
  ASSERT_NE(session, nullptr);
  EXPECT_FALSE(SSL_SESSION_early_data_capable(session.get()));
}

// The ClientHello of `client`, taken off its socket.
std::string ReceiveHello(int fd) {
  std::string hello;
  do {
    char buffer[4096];
    const ssize_t count = ::recv(fd, buffer, sizeof(buffer), 0);
    if (count <= 0) break;
    hello.append(buffer, static_cast<size_t>(count));
  } while (hello.size() < 5 || hello.size() < 5u + static_cast<uint8_t>(hello[3]) * 256u +
                                                  static_cast<uint8_t>(hello[4]));
  return hello;
}

TEST_F(LeafTest, TL01_GoesOnFromBytesThatWereReadBefore) {
  for (const size_t record_size : {size_t{1}, size_t{100}, size_t{16384}}) {
    auto [mine, theirs] = MakeSocketPair();
    peer_.emplace(std::move(theirs), MakeClient(client_.get(), "good.test"));
    const std::string message = ReceiveHello(mine.get()).substr(5);
    std::string early;
    for (size_t at = 0; at < message.size(); at += record_size) {
      const std::string fragment = message.substr(at, record_size);
      early += std::string("\x16\x03\x01", 3) + static_cast<char>(fragment.size() >> 8) +
               static_cast<char>(fragment.size() & 0xff) + fragment;
    }
    const auto accepted = AcceptOn(std::move(mine), early, "good.test");
    EXPECT_TRUE(accepted.ok()) << accepted.status();
    EXPECT_TRUE(peer_->Join().shaken) << peer_->Join().error;
  }
}

TEST_F(LeafTest, TL22_UnderstandsAnAlertInPlainText) {
  std::string hello;
  {
    auto [receives, sends] = MakeSocketPair();
    peer_.emplace(std::move(sends), MakeClient(client_.get(), "good.test"));
    hello = ReceiveHello(receives.get());
  }
  const std::pair<std::string, StatusCode> alerts[] = {
      {{"\x15\x03\x03\x00\x02\x02\x30", 7}, StatusCode::kUnauthenticated},   // unknown_ca.
      {{"\x15\x03\x03\x00\x02\x02\x32", 7}, StatusCode::kInvalidArgument},   // decode_error.
      {{"\x17\x03\x03\x00\x02\x02\x30", 7}, StatusCode::kInvalidArgument}};  // No alert.
  for (const auto& [record, expected] : alerts) {
    auto [mine, theirs] = MakeSocketPair();
    ASSERT_EQ(::send(theirs.get(), record.data(), record.size(), 0), 7);
    EXPECT_EQ(AcceptOn(std::move(mine), hello, "good.test").status().code(), expected);
  }
}

TEST_F(LeafTest, TL07_RefusesASecondHelloWithAnotherName) {
  const auto shake = [this](bool change_name) {
    bssl::UniquePtr<SSL> client = MakeClient(client_.get(), "good.test");
    // Only P-521 has a key share in the first hello, which the server does not do.
    SSL_set1_curves_list(client.get(), "P-521:X25519");
    if (change_name) {
      SSL_set_msg_callback(client.get(), [](int is_write, int, int type, const void* data, size_t,
                                            SSL* ssl, void*) {
        const bool is_server_hello = static_cast<const uint8_t*>(data)[0] == SSL3_MT_SERVER_HELLO;
        if (!is_write && type == SSL3_RT_HANDSHAKE && is_server_hello) {
          SSL_set_tlsext_host_name(ssl, "evil.test");
        }
      });
    }
    return Accept(std::move(client), "good.test", [](SSL* ssl, int) { ReadAll(ssl); });
  };
  auto honest = shake(false);
  ASSERT_TRUE(honest.ok()) << honest.status();
  honest->stream->Close(Stream::How::kGraceful);
  const auto changed = shake(true);
  EXPECT_EQ(changed.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(changed.status().message().find("another name"), absl::string_view::npos)
      << changed.status();
}

TEST_F(LeafTest, TL11_AsksForNoClientCertificate) {
  const Identity identity = MakeIssued(root_, {.common_name = "client"});
  bssl::UniquePtr<SSL> client = MakeClient(client_.get(), "good.test");
  SSL_use_certificate(client.get(), identity.certificate.get());
  SSL_use_PrivateKey(client.get(), identity.key.get());
  const auto accepted = Accept(std::move(client), "good.test");
  ASSERT_TRUE(accepted.ok()) << accepted.status();
  SSL* const ssl = accepted->stream->ssl();
  EXPECT_EQ(SSL_get0_peer_certificates(ssl), nullptr);
}

TEST_F(LeafTest, SaysWhoseFaultAFailureIs) {
  {
    auto [mine, theirs] = MakeSocketPair();
    theirs.Reset();
    EXPECT_EQ(AcceptOn(std::move(mine), "", "good.test").status().code(), StatusCode::kUnavailable);
  }
  {
    auto [mine, theirs] = MakeSocketPair();
    EXPECT_EQ(AcceptOn(std::move(mine), "GET / HTTP/1.1\r\n", "good.test").status().code(),
              StatusCode::kInvalidArgument);
  }
  {
    auto [mine, theirs] = MakeSocketPair();
    auto transport = std::make_unique<TcpStream>(context_, std::move(mine));
    transport->SetDeadline(std::chrono::steady_clock::now() + std::chrono::milliseconds(20));
    EXPECT_EQ(RunTask(context_, authority_->Accept(std::move(transport), "\x16",
                                                   Host::Parse("good.test").value(), protocols_))
                  .status()
                  .code(),
              StatusCode::kDeadlineExceeded);
  }
}

TEST_F(LeafTest, MayEndWhileAClientShakesHands) {
  auto [mine, theirs] = MakeSocketPair();
  auto pending = authority_->Accept(std::make_unique<TcpStream>(context_, std::move(mine)), "",
                                    Host::Parse("good.test").value(), protocols_);
  authority_.reset();
  peer_.emplace(std::move(theirs), MakeClient(client_.get(), "good.test"));
  EXPECT_TRUE(RunTask(context_, std::move(pending)).ok());
}

TEST_F(LeafTest, TL12_UsesAnotherKeyThanTheCa) {
  Accept(MakeClient(client_.get(), "good.test"), "good.test").IgnoreError();
  X509* const leaf = peer_->Join().certificate.get();
  ASSERT_NE(leaf, nullptr);
  EXPECT_FALSE(X509_check_private_key(leaf, root_.key.get()));
}

TEST_F(LeafTest, RefusesToBeMadeFromNonsense) {
  EXPECT_EQ(LeafAuthority::Create("x", "y").status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace sallyport::proxy
