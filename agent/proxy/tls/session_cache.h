// TLS sessions with origins, for resumption.

#ifndef SALLYPORT_AGENT_PROXY_TLS_SESSION_CACHE_H_
#define SALLYPORT_AGENT_PROXY_TLS_SESSION_CACHE_H_

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "agent/proxy/tls/lru_map.h"

namespace sallyport::proxy {

// The last session of each host. Holds only sessions of verified connections, for that host only.
// Belongs to one worker.
class SessionCache {
 public:
  // Has BoringSSL hand the sessions of `context` to the caches of its connections.
  static void Enable(SSL_CTX* context);
  // Sessions of `ssl` go to `cache` as `host`'s, and one from there is offered. The cache lives as
  // long as `ssl` needs it.
  static bool Attach(const std::shared_ptr<SessionCache>& cache, SSL* ssl, const std::string& host);

 private:
  static int OnNewSession(SSL* ssl, SSL_SESSION* session);

  LruMap<bssl::UniquePtr<SSL_SESSION>> sessions_{256};
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TLS_SESSION_CACHE_H_
