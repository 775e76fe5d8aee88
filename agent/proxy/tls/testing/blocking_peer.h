// The other side of a TLS connection, in tests: plain blocking BoringSSL on a thread of its own.

#ifndef SALLYPORT_AGENT_PROXY_TLS_TESTING_BLOCKING_PEER_H_
#define SALLYPORT_AGENT_PROXY_TLS_TESTING_BLOCKING_PEER_H_

#include <openssl/ssl.h>

#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "agent/proxy/tls/testing/certificates.h"
#include "common/base/unique_fd.h"

namespace sallyport::proxy {

// Connected to each other: AF_UNIX, or TCP over loopback where resets matter.
std::pair<UniqueFd, UniqueFd> MakeSocketPair();
std::pair<UniqueFd, UniqueFd> MakeTcpPair();

// Verifies against `roots` in PEM, at `now`, as strictly as BoringSSL can.
bssl::UniquePtr<SSL_CTX> MakeClientContext(const std::string& roots_pem, time_t now);
// Shows `chain[0]`'s certificate and those after it.
bssl::UniquePtr<SSL_CTX> MakeServerContext(const std::vector<const Identity*>& chain);
// Sends SNI and checks `host`, a name or an address.
bssl::UniquePtr<SSL> MakeClient(SSL_CTX* context, const std::string& host);

class BlockingPeer {
 public:
  // Runs after the handshake. The socket ends with it, without close_notify unless the script sends
  // it.
  using Script = std::function<void(SSL* ssl, int fd)>;

  struct Outcome {
    bool shaken = false;
    std::string error;  // "TLSV1_ALERT_PROTOCOL_VERSION", empty if shaken.
    bool resumed = false;
    std::string alpn;
    std::string version;
    std::string sni;                    // As a server.
    bssl::UniquePtr<X509> certificate;  // The other side's.
  };

  // REQUIRES: `ssl` knows its side.
  BlockingPeer(UniqueFd fd, bssl::UniquePtr<SSL> ssl, Script script = {});
  ~BlockingPeer();
  // Waits for the script's end.
  const Outcome& Join();

 private:
  void Run(const Script& script);

  UniqueFd fd_;
  bssl::UniquePtr<SSL> ssl_;
  Outcome outcome_;
  std::thread thread_;
};

// For scripts. Reads to the end or an error; whether the end was clean goes to `clean`.
std::string ReadAll(SSL* ssl, bool* clean = nullptr);
void WriteAll(SSL* ssl, const std::string& bytes);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TLS_TESTING_BLOCKING_PEER_H_
