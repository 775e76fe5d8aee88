// TLS towards origins: TLS 1.2 or newer, system roots, name verified.

#ifndef SALLYPORT_AGENT_PROXY_TLS_UPSTREAM_H_
#define SALLYPORT_AGENT_PROXY_TLS_UPSTREAM_H_

#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "agent/proxy/stream.h"
#include "agent/proxy/tcp_stream.h"
#include "agent/proxy/tls/client_certificate.h"
#include "common/net/host.h"

namespace sallyport::proxy {

// Which versions of HTTP an origin may choose from (ALPN, RFC 7301).
enum class AlpnOffer {
  kHttp2AndHttp1,  // "h2" first, then "http/1.1".
  kHttp1,          // "http/1.1" alone.
};

// Whom the connections are for.
struct UpstreamPeer {
  std::string called = "origin";  // In messages.
  // Shown to a peer that asks for one; null: none is.
  std::shared_ptr<const ClientCertificate> certificate;
};

// The roots and settings for connections to origins, or to a handler. One a container and worker,
// so that no session is resumed across containers; one for each certificate, so that none is across
// identities. Belongs to one worker.
class UpstreamTls {
 public:
  // Parsed system roots, shared between threads, immutable.
  class Roots;
  // `pem`: the certificates of the system's bundle. FAILED_PRECONDITION if it holds none.
  static absl::StatusOr<std::shared_ptr<const Roots>> ParseRoots(std::string_view pem);
  // `now`: seconds since 1970, by which certificates are valid or not.
  static absl::StatusOr<std::unique_ptr<UpstreamTls>> Create(
      std::shared_ptr<const Roots> roots,
      std::function<time_t()> now = [] { return time(nullptr); }, UpstreamPeer peer = {});
  virtual ~UpstreamTls() = default;

  struct Connected {
    std::unique_ptr<Stream> stream;
    // The origin chose "h2". It may choose nothing: then it speaks HTTP/1.1.
    bool http2 = false;
  };
  // Shakes hands as a client of `host` (SNI for names; dNSName or iPAddress SAN must match, common
  // names and IP addresses in dNSNames never do; wildcards only as a whole leftmost label). A
  // session is resumed for the same host and offer only. UNAUTHENTICATED: the certificate cannot be
  // verified, is a CA's, or is revoked by the OCSP response that came with it; the message says
  // why, for the operator. UNAVAILABLE: the handshake failed otherwise. Honours the transport's
  // deadline. No byte of a request is sent before verification. No renegotiation.
  virtual Task<absl::StatusOr<Connected>> Connect(std::unique_ptr<TcpStream> transport, Host host,
                                                  AlpnOffer offer) = 0;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TLS_UPSTREAM_H_
