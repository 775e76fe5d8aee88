// Leaf certificates of a container's own CA, made on the spot for the names that the container asks
// for.

#ifndef SALLYPORT_AGENT_PROXY_TLS_LEAF_H_
#define SALLYPORT_AGENT_PROXY_TLS_LEAF_H_

#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/proxy/tcp_stream.h"
#include "agent/proxy/tls/tls_stream.h"
#include "common/net/host.h"

namespace sallyport::proxy {

// Mints and keeps the leaves of one container, and holds the TLS server context that uses them.
// Thread-safe, and shared by all workers: a name is minted once, and a session is resumed on
// whichever worker its next connection comes to. Leaves: P-256, SAN the host (dNSName or
// iPAddress), serverAuth, digitalSignature, CA:FALSE, AKI, random 128-bit serial, not before 1 h
// ago, 24 h at most and never beyond the CA, re-minted in the last hour. At most 1,024 are kept
// (LRU). Sessions are resumed for the same host only. TLS 1.2 and 1.3, no early data, no
// renegotiation, no client certificate.
class LeafAuthority {
 public:
  // DER: X.509 certificate and EC private key (RFC 5915). `now`: seconds since 1970, thread-safe.
  static absl::StatusOr<std::unique_ptr<LeafAuthority>> Create(
      std::string_view ca_certificate, std::string_view ca_private_key,
      std::function<time_t()> now = [] { return time(nullptr); });
  virtual ~LeafAuthority() = default;

  struct Accepted {
    std::unique_ptr<TlsStream> stream;
    std::string alpn;         // One of those offered, or empty: the client has no ALPN.
    std::string tls_version;  // "TLSv1.3", "TLSv1.2".
  };
  // Shakes hands with the container as `host`. `early` was read from `transport` before (the
  // ClientHello). `protocols` are offered by ALPN, the one that we like best first; a client that
  // names none of them gets the alert no_application_protocol (RFC 7301). UNAUTHENTICATED: the
  // client refused our certificate, by an alert (bad_certificate, unknown_ca, certificate_unknown
  // and the like) or by leaving once it was sent. INVALID_ARGUMENT: no common version, ALPN or
  // cipher, or another breach of the protocol, such as a second ClientHello with another name.
  // UNAVAILABLE: the client went away before. FAILED_PRECONDITION: the CA has expired. Honours the
  // transport's deadline. A wildcard or otherwise impossible name never becomes a Host: whoever
  // reads the ClientHello answers it with FatalAlert(kAlertUnrecognizedName).
  virtual Task<absl::StatusOr<Accepted>> Accept(std::unique_ptr<TcpStream> transport,
                                                std::string early, Host host,
                                                std::vector<std::string> protocols) = 0;
  // Whether Accept as `host` would find its certificate made.
  virtual bool Keeps(const Host& host) const = 0;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TLS_LEAF_H_
