#include "agent/proxy/tls/testing/blocking_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "agent/proxy/tls/roots.h"
#include "agent/proxy/tls/tls_stream.h"
#include "common/net/host.h"

namespace sallyport::proxy {
namespace {

void Must(bool ok, const char* what) {
  if (ok) return;
  std::perror(what);
  std::abort();
}

}  // namespace

std::pair<UniqueFd, UniqueFd> MakeSocketPair() {
  int fds[2];
  Must(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0, "socketpair");
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

std::pair<UniqueFd, UniqueFd> MakeTcpPair() {
  UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  Must(::bind(listener.get(), generic, size) == 0, "bind");
  Must(::listen(listener.get(), 1) == 0, "listen");
  Must(::getsockname(listener.get(), generic, &size) == 0, "getsockname");
  UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  Must(::connect(client.get(), generic, size) == 0, "connect");
  UniqueFd server(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  Must(server.valid(), "accept");
  return {std::move(client), std::move(server)};
}

bssl::UniquePtr<SSL_CTX> MakeClientContext(const std::string& roots_pem, time_t now) {
  bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_method()));
  SSL_CTX_set_cert_store(context.get(),
                         UpstreamTls::ParseRoots(roots_pem).value()->NewReference().release());
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  X509_VERIFY_PARAM* const param = SSL_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
  X509_VERIFY_PARAM_set_time(param, now);
  return context;
}

bssl::UniquePtr<SSL_CTX> MakeServerContext(const std::vector<const Identity*>& chain) {
  bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_method()));
  Must(SSL_CTX_use_certificate(context.get(), chain[0]->certificate.get()) &&
           SSL_CTX_use_PrivateKey(context.get(), chain[0]->key.get()),
       "server certificate");
  for (size_t i = 1; i < chain.size(); ++i) {
    SSL_CTX_add1_chain_cert(context.get(), chain[i]->certificate.get());
  }
  return context;
}

bssl::UniquePtr<SSL> MakeClient(SSL_CTX* context, const std::string& host) {
  bssl::UniquePtr<SSL> ssl(SSL_new(context));
  SSL_set_connect_state(ssl.get());
  const Host parsed = Host::Parse(host).value();
  if (parsed.is_address()) {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl.get()), parsed.text().c_str());
  } else {
    SSL_set_hostflags(ssl.get(), X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    SSL_set1_host(ssl.get(), host.c_str());
    SSL_set_tlsext_host_name(ssl.get(), host.c_str());
  }
  return ssl;
}

BlockingPeer::BlockingPeer(UniqueFd fd, bssl::UniquePtr<SSL> ssl, Script script)
    : fd_(std::move(fd)), ssl_(std::move(ssl)) {
  std::signal(SIGPIPE, SIG_IGN);  // BoringSSL's own socket BIO writes without MSG_NOSIGNAL.
  const timeval limit{20, 0};     // A test that hangs fails.
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  SSL_set_fd(ssl_.get(), fd_.get());
  thread_ = std::thread([this, script = std::move(script)] { Run(script); });
}

BlockingPeer::~BlockingPeer() { Join(); }

const BlockingPeer::Outcome& BlockingPeer::Join() {
  if (thread_.joinable()) thread_.join();
  return outcome_;
}

void BlockingPeer::Run(const Script& script) {
  SSL* const ssl = ssl_.get();
  outcome_.shaken = SSL_do_handshake(ssl) == 1;
  if (outcome_.shaken) {
    outcome_.resumed = SSL_session_reused(ssl) != 0;
    const uint8_t* alpn = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl, &alpn, &size);
    outcome_.alpn.assign(reinterpret_cast<const char*>(alpn), size);
    outcome_.version = SSL_get_version(ssl);
    outcome_.certificate.reset(SSL_get_peer_certificate(ssl));
    if (const char* sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)) outcome_.sni = sni;
    if (script) script(ssl, fd_.get());
  } else {
    const uint32_t error = ERR_peek_last_error();
    outcome_.error = error != 0 ? TlsErrorText(error) : "END";
  }
  ERR_clear_error();
  fd_.Reset();
}

std::string ReadAll(SSL* ssl, bool* clean) {
  std::string all;
  char buffer[4096];
  int count;
  while ((count = SSL_read(ssl, buffer, sizeof(buffer))) > 0) all.append(buffer, count);
  if (clean != nullptr) *clean = SSL_get_error(ssl, count) == SSL_ERROR_ZERO_RETURN;
  ERR_clear_error();
  return all;
}

void WriteAll(SSL* ssl, const std::string& bytes) {
  size_t written = 0;
  while (written < bytes.size()) {
    const int count =
        SSL_write(ssl, bytes.data() + written, static_cast<int>(bytes.size() - written));
    if (count <= 0) break;
    written += static_cast<size_t>(count);
  }
  ERR_clear_error();
}

}  // namespace sallyport::proxy
