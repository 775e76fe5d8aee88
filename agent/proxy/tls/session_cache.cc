#include "agent/proxy/tls/session_cache.h"

#include <openssl/x509.h>

#include <optional>
#include <tuple>
#include <utility>

#include "agent/proxy/tls/asn1_time.h"

namespace sallyport::proxy {
namespace {

// What a connection knows of the cache that it feeds.
struct Feed {
  std::shared_ptr<SessionCache> cache;
  std::string host;
};

void FreeFeed(void*, void* feed, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<Feed*>(feed);
}

int FeedIndex() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, &FreeFeed);
  return index;
}

}  // namespace

void SessionCache::Enable(SSL_CTX* context) {
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT);
  SSL_CTX_sess_set_new_cb(context, &OnNewSession);
}

bool SessionCache::Attach(const std::shared_ptr<SessionCache>& cache, SSL* ssl,
                          const std::string& host) {
  auto feed = std::make_unique<Feed>(Feed{cache, host});
  if (!SSL_set_ex_data(ssl, FeedIndex(), feed.get())) return false;
  std::ignore = feed.release();
  const Entry* const found = cache->sessions_.Find(host);
  if (found == nullptr) return true;
  if (cache->now_() >= found->certificate_ends) {
    cache->sessions_.Erase(host);
    return true;
  }
  bssl::UniquePtr<SSL_SESSION> session = bssl::UpRef(found->session);
  // RFC 8446 section C.4: a ticket that is used twice lets an observer tell that both were us.
  if (SSL_SESSION_should_be_single_use(session.get())) cache->sessions_.Erase(host);
  return SSL_set_session(ssl, session.get()) != 0;
}

int SessionCache::OnNewSession(SSL* ssl, SSL_SESSION* session) {
  const auto* feed = static_cast<const Feed*>(SSL_get_ex_data(ssl, FeedIndex()));
  // A resumed session carries the certificate of the first one on.
  const X509* const certificate = SSL_SESSION_get0_peer(session);
  if (feed == nullptr || certificate == nullptr) return 0;
  const std::optional<time_t> ends = ToTime(X509_get0_notAfter(certificate));
  if (!ends.has_value()) return 0;
  // Each resumption would extend the session by its whole lifetime, for days: it ends that long
  // after the verification instead.
  if (!SSL_session_reused(ssl)) SSL_SESSION_set_timeout(session, SSL_SESSION_get_timeout(session));
  feed->cache->sessions_.Set(feed->host, Entry{bssl::UniquePtr<SSL_SESSION>(session), *ends});
  return 1;  // The reference is ours now.
}

}  // namespace sallyport::proxy
