// TLS sessions with origins, for resumption.

#ifndef SALLYPORT_AGENT_PROXY_TLS_SESSION_CACHE_H_
#define SALLYPORT_AGENT_PROXY_TLS_SESSION_CACHE_H_

#include <openssl/ssl.h>

#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "agent/proxy/tls/lru_map.h"

namespace sallyport::proxy {

// The last session of each host. Holds only sessions of verified connections, for that host only,
// and none longer than the certificate that was verified is valid. Belongs to one worker.
class SessionCache {
 public:
  // `now`: seconds since 1970.
  explicit SessionCache(std::function<time_t()> now) : now_(std::move(now)) {}

  // Has BoringSSL hand the sessions of `context` to the caches of its connections.
  static void Enable(SSL_CTX* context);
  // Sessions of `ssl` go to `cache` as `host`'s, and one from there is offered. The cache lives as
  // long as `ssl` needs it.
  static bool Attach(const std::shared_ptr<SessionCache>& cache, SSL* ssl, const std::string& host);

 private:
  static int OnNewSession(SSL* ssl, SSL_SESSION* session);

  struct Entry {
    bssl::UniquePtr<SSL_SESSION> session;
    time_t certificate_ends;
  };

  const std::function<time_t()> now_;
  LruMap<Entry> sessions_{256};
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TLS_SESSION_CACHE_H_
