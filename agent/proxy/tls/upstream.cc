#include "agent/proxy/tls/upstream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/proxy/tls/origin_certificate.h"
#include "agent/proxy/tls/roots.h"
#include "agent/proxy/tls/session_cache.h"
#include "agent/proxy/tls/tls_stream.h"
#include "common/base/status.h"

namespace sallyport::proxy {
namespace {

// For TLS 1.2; those of TLS 1.3 are all good.
constexpr char kCiphers[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
// BoringSSL's own but for SHA-1.
constexpr uint16_t kSignatures[] = {
    SSL_SIGN_ECDSA_SECP256R1_SHA256, SSL_SIGN_RSA_PSS_RSAE_SHA256, SSL_SIGN_RSA_PKCS1_SHA256,
    SSL_SIGN_ECDSA_SECP384R1_SHA384, SSL_SIGN_RSA_PSS_RSAE_SHA384, SSL_SIGN_RSA_PKCS1_SHA384,
    SSL_SIGN_RSA_PSS_RSAE_SHA512,    SSL_SIGN_RSA_PKCS1_SHA512};
constexpr std::string_view kHttp1 = "\x08http/1.1";
constexpr std::string_view kHttp2AndHttp1 = "\x02h2\x08http/1.1";
// Public chains are below 10 KiB and 5 certificates. Bounds what a hostile origin can have us build
// and check.
constexpr size_t kMaxChainBytes = 64 * 1024;
constexpr int kMaxIntermediates = 8;
// Seconds. A resumed session is not verified again, so this bounds how long one is lived with that
// would no longer be.
constexpr uint32_t kSessionLifetime = 60 * 60;

bool IsCertificateError(uint32_t tls_error) {
  switch (ERR_GET_LIB(tls_error)) {
    case ERR_LIB_X509:
    case ERR_LIB_X509V3:
    case ERR_LIB_ASN1:
      return true;
    case ERR_LIB_SSL:
      switch (ERR_GET_REASON(tls_error)) {
        case SSL_R_CERTIFICATE_VERIFY_FAILED:
        case SSL_R_CANNOT_PARSE_LEAF_CERT:
        case SSL_R_KEY_USAGE_BIT_INCORRECT:
        case SSL_R_WRONG_CERTIFICATE_TYPE:
          return true;
        default:
          return false;
      }
    default:
      return false;
  }
}

// `peer`: "origin api.test".
absl::Status CannotBeVerified(const std::string& peer, const std::string& why) {
  return absl::UnauthenticatedError(
      absl::StrCat("the certificate of the ", peer, " cannot be verified: ", why));
}

absl::Status Explain(const TlsStream::HandshakeResult& result, const SSL* ssl,
                     const std::string& peer) {
  if (!result.transport.ok()) return result.transport;
  const std::string reason = TlsErrorText(result.tls_error);
  if (!IsCertificateError(result.tls_error)) {
    return absl::UnavailableError(
        absl::StrCat("the TLS handshake with the ", peer, " failed: ", reason));
  }
  const long verified = SSL_get_verify_result(ssl);
  // What BoringSSL refuses before it looks at the chain: a key that is not for signing.
  const bool looked_at = verified != X509_V_OK && verified != X509_V_ERR_INVALID_CALL;
  return CannotBeVerified(peer, looked_at ? X509_verify_cert_error_string(verified) : reason);
}

// Common names never count. In BoringSSL a wildcard is the whole leftmost label of three or more.
bool ExpectHost(SSL* ssl, const Host& host, time_t now) {
  X509_VERIFY_PARAM* const expected = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_time(expected, now);
  if (host.is_address()) {
    return X509_VERIFY_PARAM_set1_ip(expected, host.address().bytes().data(),
                                     static_cast<size_t>(host.address().byte_length())) != 0;
  }
  X509_VERIFY_PARAM_set_hostflags(
      expected, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return X509_VERIFY_PARAM_set1_host(expected, host.text().data(), host.text().size()) &&
         SSL_set_tlsext_host_name(ssl, host.text().c_str());
}

bool OfferAlpn(SSL* ssl, AlpnOffer offer) {
  const std::string_view names = offer == AlpnOffer::kHttp1 ? kHttp1 : kHttp2AndHttp1;
  // 0 is success in this one function.
  return SSL_set_alpn_protos(ssl, reinterpret_cast<const uint8_t*>(names.data()), names.size()) ==
         0;
}

// BoringSSL refuses an answer that was not offered.
bool ChoseHttp2(const SSL* ssl) {
  const uint8_t* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl, &name, &size);
  return std::string_view(reinterpret_cast<const char*>(name), size) == "h2";
}

Task<absl::StatusOr<UpstreamTls::Connected>> ShakeHands(absl::StatusOr<bssl::UniquePtr<SSL>> ssl,
                                                        std::unique_ptr<TcpStream> transport,
                                                        std::string peer) {
  if (!ssl.ok()) co_return ssl.status();
  auto stream = std::make_unique<TlsStream>(std::move(transport), *std::move(ssl), std::string());
  const TlsStream::HandshakeResult result = co_await stream->Handshake();
  if (!result.ok()) co_return Explain(result, stream->ssl(), peer);
  const absl::Status usable = CheckOriginCertificate(stream->ssl());
  if (!usable.ok()) co_return CannotBeVerified(peer, std::string(usable.message()));
  const bool http2 = ChoseHttp2(stream->ssl());
  co_return UpstreamTls::Connected{std::move(stream), http2};
}

class BoringUpstreamTls final : public UpstreamTls {
 public:
  BoringUpstreamTls(bssl::UniquePtr<SSL_CTX> context, std::function<time_t()> now, std::string peer)
      : context_(std::move(context)),
        now_(std::move(now)),
        peer_(std::move(peer)),
        sessions_(std::make_shared<SessionCache>(now_)),
        http1_sessions_(std::make_shared<SessionCache>(now_)) {}

  // Uses this object only before it returns.
  Task<absl::StatusOr<Connected>> Connect(std::unique_ptr<TcpStream> transport, Host host,
                                          AlpnOffer offer) override {
    absl::StatusOr<bssl::UniquePtr<SSL>> ssl = NewConnection(host, offer);
    return ShakeHands(std::move(ssl), std::move(transport), absl::StrCat(peer_, " ", host.text()));
  }

 private:
  absl::StatusOr<bssl::UniquePtr<SSL>> NewConnection(const Host& host, AlpnOffer offer) {
    bssl::UniquePtr<SSL> ssl(SSL_new(context_.get()));
    const std::shared_ptr<SessionCache>& sessions =
        offer == AlpnOffer::kHttp1 ? http1_sessions_ : sessions_;
    if (ssl == nullptr || !ExpectHost(ssl.get(), host, now_()) || !OfferAlpn(ssl.get(), offer) ||
        !SessionCache::Attach(sessions, ssl.get(), host.text())) {
      return absl::ResourceExhaustedError("no memory for a TLS connection");
    }
    SSL_enable_ocsp_stapling(ssl.get());
    SSL_set_shed_handshake_config(ssl.get(), 1);
    SSL_set_connect_state(ssl.get());
    return ssl;
  }

  const bssl::UniquePtr<SSL_CTX> context_;
  const std::function<time_t()> now_;
  const std::string peer_;
  // By offer: a session belongs to the protocol that was chosen with it.
  const std::shared_ptr<SessionCache> sessions_;
  const std::shared_ptr<SessionCache> http1_sessions_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<UpstreamTls>> UpstreamTls::Create(std::shared_ptr<const Roots> roots,
                                                                 std::function<time_t()> now,
                                                                 UpstreamPeer peer) {
  bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_method()));
  if (context == nullptr || !SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) ||
      !SSL_CTX_set_strict_cipher_list(context.get(), kCiphers) ||
      !SSL_CTX_set_verify_algorithm_prefs(context.get(), kSignatures, std::size(kSignatures))) {
    return absl::InternalError("BoringSSL cannot make a client context");
  }
  if (peer.certificate != nullptr && !peer.certificate->GiveTo(context.get()))
    return absl::InternalError("BoringSSL does not take the client certificate");
  // The roots end with the last context that uses them.
  SSL_CTX_set_cert_store(context.get(), roots->NewReference().release());
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_verify_depth(context.get(), kMaxIntermediates);
  SSL_CTX_set_max_cert_list(context.get(), kMaxChainBytes);
  SSL_CTX_set_timeout(context.get(), kSessionLifetime);
  SSL_CTX_set_session_psk_dhe_timeout(context.get(), kSessionLifetime);
  SessionCache::Enable(context.get());
  return std::make_unique<BoringUpstreamTls>(std::move(context), std::move(now),
                                             std::move(peer.called));
}

}  // namespace sallyport::proxy
