#include "agent/proxy/handlers/handler_tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>

#include <array>
#include <optional>

#include "agent/proxy/testing/run.h"
#include "agent/proxy/tls/roots.h"
#include "agent/proxy/tls/testing/blocking_peer.h"

namespace sallyport::proxy {
namespace {

using absl::StatusCode;
using testing::HasSubstr;

std::string KeyPem(const Identity& identity) {
  const bssl::UniquePtr<BIO> memory(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(memory.get(), identity.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  const uint8_t* data = nullptr;
  size_t size = 0;
  BIO_mem_contents(memory.get(), &data, &size);
  return std::string(reinterpret_cast<const char*>(data), size);
}

std::shared_ptr<const ClientCertificate> CertificateOf(const Identity& identity) {
  return ClientCertificate::Parse(identity.CertificatePem(), KeyPem(identity)).value();
}

// A handler's server that asks for a certificate, and a worker's source.
class HandlerTlsTest : public testing::Test {
 protected:
  HandlerTlsTest() {
    SSL_CTX_set_verify(server_.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    SSL_CTX_set_cert_store(
        server_.get(),
        UpstreamTls::ParseRoots(clients_ca_.CertificatePem()).value()->NewReference().release());
    const uint8_t id[] = "handler";
    SSL_CTX_set_session_id_context(server_.get(), id, sizeof(id));
  }

  // Shakes hands and reads the server's first byte: in TLS 1.3 only that tells what it thinks of
  // us.
  absl::Status Try(UpstreamTls& tls, const std::string& name = "keys.test") {
    auto [mine, theirs] = MakeSocketPair();
    bssl::UniquePtr<SSL> ssl(SSL_new(server_.get()));
    SSL_set_accept_state(ssl.get());
    peer_.emplace(std::move(theirs), std::move(ssl), [](SSL* session, int) {
      WriteAll(session, "x");
      ReadAll(session, nullptr);
    });
    auto connected =
        RunTask(context_, tls.Connect(std::make_unique<TcpStream>(context_, std::move(mine)),
                                      Host::Parse(name).value(), AlpnOffer::kHttp2AndHttp1));
    if (!connected.ok()) return connected.status();
    std::array<char, 8> buffer;
    const absl::Status read = RunTask(context_, connected->stream->Read(buffer)).status();
    connected->stream.reset();
    peer_->Join();
    return read;
  }
  std::shared_ptr<UpstreamTls> Make(const HandlerTlsSpec& spec) {
    auto made = source_.Make(spec);
    EXPECT_TRUE(made.ok()) << made.status();
    return *std::move(made);
  }

  boost::asio::io_context context_{1};
  const Identity system_ = MakeRoot("system");
  const Identity handlers_ca_ = MakeRoot("handlers");
  const Identity clients_ca_ = MakeRoot("clients");
  const Identity host_ = MakeIssued(clients_ca_, {.common_name = "host-7"});
  const Identity keys_ = MakeIssued(handlers_ca_, {.dns_names = {"keys.test"}});
  const bssl::UniquePtr<SSL_CTX> server_ = MakeServerContext({&keys_});
  HandlerTlsSource source_{UpstreamTls::ParseRoots(system_.CertificatePem()).value()};
  const HandlerTlsSpec mutual_{handlers_ca_.CertificatePem(), true, ""};
  std::optional<BlockingPeer> peer_;
};

TEST_F(HandlerTlsTest, EachSideShowsItsCertificate) {
  source_.SetCertificate(CertificateOf(host_));
  const auto tls = Make(mutual_);
  const absl::Status tried = Try(*tls);
  ASSERT_TRUE(tried.ok()) << tried;
  const bssl::UniquePtr<X509> seen = bssl::UpRef(peer_->Join().certificate);
  ASSERT_NE(seen, nullptr);
  EXPECT_EQ(X509_cmp(seen.get(), host_.certificate.get()), 0);
}

TEST_F(HandlerTlsTest, WithoutACertificateItSaysWhatToDo) {
  const absl::Status status = source_.Make(mutual_).status();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("give sallyport-agent --tls-dir, or "));
}

TEST_F(HandlerTlsTest, ItShowsNoneUnlessItIsToldTo) {
  source_.SetCertificate(CertificateOf(host_));
  const auto tls = Make({handlers_ca_.CertificatePem(), false, ""});
  const absl::Status status = Try(*tls);
  EXPECT_THAT(std::string(status.message()), HasSubstr("the peer asks for a client certificate"));
}

TEST_F(HandlerTlsTest, OneThatTheHandlerDoesNotTrustIsNoUse) {
  const Identity stranger = MakeIssued(handlers_ca_, {.common_name = "host-7"});
  source_.SetCertificate(CertificateOf(stranger));
  const auto tls = Make(mutual_);
  const absl::Status status = Try(*tls);
  EXPECT_THAT(std::string(status.message()), HasSubstr("the peer refuses our certificate"));
}

TEST_F(HandlerTlsTest, RootsAreTheHandlersAlone) {
  source_.SetCertificate(CertificateOf(host_));
  for (const std::string& roots : {std::string(), clients_ca_.CertificatePem()}) {
    const auto tls = Make({roots, true, ""});
    const absl::Status status = Try(*tls);
    EXPECT_EQ(status.code(), StatusCode::kUnauthenticated) << status;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("the certificate of the handler keys.test cannot be verified"));
  }
  const auto tls = Make(mutual_);
  EXPECT_EQ(Try(*tls, "other.test").code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(source_.Make({"nonsense", false, ""}).status().code(), StatusCode::kUnavailable);
}

TEST_F(HandlerTlsTest, SessionsAreOfOneContext) {
  source_.SetCertificate(CertificateOf(host_));
  const auto tls = Make(mutual_);
  EXPECT_TRUE(Try(*tls).ok());
  EXPECT_TRUE(Try(*tls).ok());
  EXPECT_TRUE(peer_->Join().resumed);
  const auto other = Make(mutual_);
  EXPECT_TRUE(Try(*other).ok());
  EXPECT_FALSE(peer_->Join().resumed);
}

TEST(ClientCertificateTest, IsAPair) {
  const Identity root = MakeRoot("root");
  const Identity one = MakeIssued(root, {.common_name = "one"});
  const Identity other = MakeIssued(root, {.common_name = "other"});
  EXPECT_TRUE(
      ClientCertificate::Parse(one.CertificatePem() + root.CertificatePem(), KeyPem(one)).ok());
  for (const auto& [chain, key] :
       {std::pair(one.CertificatePem(), KeyPem(other)), std::pair(std::string(), KeyPem(one)),
        std::pair(one.CertificatePem(), std::string("nonsense"))}) {
    EXPECT_EQ(ClientCertificate::Parse(chain, key).status().code(), StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace sallyport::proxy
