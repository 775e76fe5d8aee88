#include "agent/proxy/tls/leaf.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <array>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/proxy/tls/client_hello.h"
#include "agent/proxy/tls/leaf_cache.h"
#include "agent/proxy/tls/tls_stream.h"
#include "common/base/status.h"

namespace sallyport::proxy {
namespace {

// What a P-256 key can do in TLS 1.2; those of TLS 1.3 are all good.
constexpr char kCiphers[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES256-GCM-SHA384";
// Seconds. Well below a leaf's life, so that a session does not outlive its certificate by much.
constexpr uint32_t kSessionLifetime = 2 * 60 * 60;

// What is offered to this connection's client is its application data.
int SelectAlpn(SSL* ssl, const uint8_t** selected, uint8_t* selected_size, const uint8_t* offer,
               unsigned offer_size, void*) {
  const auto* protocols = static_cast<const std::vector<std::string>*>(SSL_get_app_data(ssl));
  for (const std::string& protocol : *protocols) {
    for (unsigned i = 0; i < offer_size; i += 1 + offer[i]) {
      const std::string_view offered(reinterpret_cast<const char*>(offer + i + 1), offer[i]);
      if (offered != protocol) continue;
      *selected = offer + i + 1;
      *selected_size = offer[i];
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

// What is seen of a handshake's messages as they pass. Compares the names of the two ClientHellos
// around a HelloRetryRequest: BoringSSL reads the second one's only in part.
struct HandshakeWatch {
  bool hello_seen = false;
  bool name_changed = false;
  bool certificate_sent = false;
  std::optional<std::string> first_name;
};

void OnMessage(int is_write, int, int content_type, const void* data, size_t size, SSL*,
               void* watch_arg) {
  constexpr size_t kMessageHeader = 4;
  if (content_type != SSL3_RT_HANDSHAKE || size < kMessageHeader) return;
  const std::string_view message(static_cast<const char*>(data), size);
  auto* const watch = static_cast<HandshakeWatch*>(watch_arg);
  if (is_write != 0) {
    if (message[0] == SSL3_MT_CERTIFICATE) watch->certificate_sent = true;
    return;
  }
  if (message[0] != SSL3_MT_CLIENT_HELLO) return;
  auto parsed = ParseClientHelloBody(message.substr(kMessageHeader));
  const auto* hello = std::get_if<ClientHello>(&parsed);
  if (!watch->hello_seen) {
    watch->hello_seen = true;
    if (hello != nullptr) watch->first_name = hello->server_name;
  } else if (hello == nullptr || hello->server_name != watch->first_name) {
    watch->name_changed = true;
  }
}

bool IsCertificateRefusal(uint32_t tls_error) {
  if (ERR_GET_LIB(tls_error) != ERR_LIB_SSL) return false;
  switch (ERR_GET_REASON(tls_error)) {
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      return true;
    default:
      return false;
  }
}

// Clients that dislike a certificate say so by an alert, or just leave.
absl::Status Explain(const TlsStream::HandshakeResult& result, const HandshakeWatch& watch,
                     const Host& host) {
  if (absl::IsUnavailable(result.transport) && watch.certificate_sent) {
    return absl::UnauthenticatedError(
        absl::StrCat("the container's client left without an alert when it was shown the "
                     "interception certificate of ",
                     host.text()));
  }
  if (!result.transport.ok()) return result.transport;
  const std::string reason = TlsErrorText(result.tls_error);
  if (IsCertificateRefusal(result.tls_error)) {
    return absl::UnauthenticatedError(
        absl::StrCat("the container's client refused the interception certificate of ", host.text(),
                     ": ", reason));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("the TLS handshake with the container as ", host.text(), " failed: ", reason));
}

using Accepted = LeafAuthority::Accepted;

Task<absl::StatusOr<Accepted>> ShakeHands(absl::StatusOr<bssl::UniquePtr<SSL>> ssl,
                                          std::unique_ptr<TcpStream> transport, std::string early,
                                          Host host, std::vector<std::string> protocols) {
  if (!ssl.ok()) co_return ssl.status();
  HandshakeWatch watch;
  TcpStream& socket = *transport;
  auto stream =
      std::make_unique<TlsStream>(std::move(transport), *std::move(ssl), std::move(early));
  SSL_set_msg_callback(stream->ssl(), &OnMessage);
  SSL_set_msg_callback_arg(stream->ssl(), &watch);
  SSL_set_app_data(stream->ssl(), &protocols);
  const TlsStream::HandshakeResult result = co_await stream->Handshake();
  SSL_set_msg_callback(stream->ssl(), nullptr);
  SSL_set_msg_callback_arg(stream->ssl(), nullptr);
  SSL_set_app_data(stream->ssl(), nullptr);
  if (!result.ok()) co_return Explain(result, watch, host);
  // The client's Finished has no answer in TLS 1.3, and a client with Nagle's algorithm holds its
  // first request until it is acknowledged.
  const int now = 1;
  setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_QUICKACK, &now, sizeof(now));
  if (watch.name_changed) {
    SSL_send_fatal_alert(stream->ssl(), SSL_AD_ILLEGAL_PARAMETER);
    co_return absl::InvalidArgumentError(
        absl::StrCat("the second ClientHello has another name than ", host.text()));
  }
  const uint8_t* alpn = nullptr;
  unsigned alpn_size = 0;
  SSL_get0_alpn_selected(stream->ssl(), &alpn, &alpn_size);
  Accepted accepted;
  accepted.alpn.assign(reinterpret_cast<const char*>(alpn), alpn_size);
  accepted.tls_version = SSL_get_version(stream->ssl());
  accepted.stream = std::move(stream);
  co_return accepted;
}

class BoringLeafAuthority final : public LeafAuthority {
 public:
  BoringLeafAuthority(bssl::UniquePtr<SSL_CTX> context, std::unique_ptr<LeafCache> leaves)
      : context_(std::move(context)), leaves_(std::move(leaves)) {}

  // Uses this object only before it returns, so that a container may go while its clients shake
  // hands.
  Task<absl::StatusOr<Accepted>> Accept(std::unique_ptr<TcpStream> transport, std::string early,
                                        Host host, std::vector<std::string> protocols) override {
    absl::StatusOr<bssl::UniquePtr<SSL>> ssl = NewConnection(host);
    return ShakeHands(std::move(ssl), std::move(transport), std::move(early), std::move(host),
                      std::move(protocols));
  }

  bool Keeps(const Host& host) const override { return leaves_->Keeps(host); }

 private:
  absl::StatusOr<bssl::UniquePtr<SSL>> NewConnection(const Host& host) {
    ASSIGN_OR_RETURN(bssl::UniquePtr<CRYPTO_BUFFER> leaf, leaves_->Get(host));
    // BoringSSL resumes a session only in the context that it was made in: one host's ticket is
    // worth nothing with another.
    std::array<uint8_t, SHA256_DIGEST_LENGTH> host_hash;
    SHA256(reinterpret_cast<const uint8_t*>(host.text().data()), host.text().size(),
           host_hash.data());
    CRYPTO_BUFFER* const chain[] = {leaf.get()};
    bssl::UniquePtr<SSL> ssl(SSL_new(context_.get()));
    if (ssl == nullptr || !SSL_set_chain_and_key(ssl.get(), chain, 1, leaves_->key(), nullptr) ||
        !SSL_set_session_id_context(ssl.get(), host_hash.data(), host_hash.size())) {
      return absl::ResourceExhaustedError("no memory for a TLS connection");
    }
    SSL_set_shed_handshake_config(ssl.get(), 1);
    SSL_set_accept_state(ssl.get());
    return ssl;
  }

  // Its ticket keys are random and its own; BoringSSL replaces them every two days.
  const bssl::UniquePtr<SSL_CTX> context_;
  const std::unique_ptr<LeafCache> leaves_;
};

absl::StatusOr<bssl::UniquePtr<SSL_CTX>> NewContext() {
  bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_with_buffers_method()));
  if (context == nullptr || !SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) ||
      !SSL_CTX_set_strict_cipher_list(context.get(), kCiphers)) {
    return absl::InternalError("BoringSSL cannot make a server context");
  }
  SSL_CTX_set_alpn_select_cb(context.get(), &SelectAlpn, nullptr);
  // Tickets only: what a client may resume is the client's memory.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_timeout(context.get(), kSessionLifetime);
  SSL_CTX_set_session_psk_dhe_timeout(context.get(), kSessionLifetime);
  return context;
}

}  // namespace

absl::StatusOr<std::unique_ptr<LeafAuthority>> LeafAuthority::Create(
    std::string_view ca_certificate, std::string_view ca_private_key, std::function<time_t()> now) {
  ASSIGN_OR_RETURN(CertificateAuthority authority,
                   CertificateAuthority::Create(ca_certificate, ca_private_key));
  ASSIGN_OR_RETURN(std::unique_ptr<LeafCache> leaves,
                   LeafCache::Create(std::move(authority), std::move(now)));
  ASSIGN_OR_RETURN(bssl::UniquePtr<SSL_CTX> context, NewContext());
  return std::make_unique<BoringLeafAuthority>(std::move(context), std::move(leaves));
}

}  // namespace sallyport::proxy
