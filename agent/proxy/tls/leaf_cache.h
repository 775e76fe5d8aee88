// The leaf certificates of one container.

#ifndef SALLYPORT_AGENT_PROXY_TLS_LEAF_CACHE_H_
#define SALLYPORT_AGENT_PROXY_TLS_LEAF_CACHE_H_

#include <openssl/pool.h>

#include <ctime>
#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "agent/proxy/tls/certificate_authority.h"
#include "agent/proxy/tls/lru_map.h"
#include "common/base/mutex.h"
#include "common/net/host.h"

namespace sallyport::proxy {

inline constexpr size_t kMaxLeaves = 1024;

// Mints on demand, and again in a leaf's last hour or when the clock jumped to before it. All
// leaves have one key, which is not the CA's. Thread-safe: who asks for a name that another worker
// is minting waits for that one signature, so that no name is minted twice.
class LeafCache {
 public:
  // Seconds since 1970. Thread-safe.
  using Now = std::function<time_t()>;

  static absl::StatusOr<std::unique_ptr<LeafCache>> Create(CertificateAuthority authority, Now now);

  absl::StatusOr<bssl::UniquePtr<CRYPTO_BUFFER>> Get(const Host& host);
  // Whether Get would mint nothing.
  bool Keeps(const Host& host) const;
  EVP_PKEY* key() { return key_.get(); }
  size_t size() const {
    MutexLock lock(&mutex_);
    return leaves_.size();
  }

 private:
  struct Leaf {
    bssl::UniquePtr<CRYPTO_BUFFER> certificate;
    time_t not_before;
    time_t not_after;
  };

  LeafCache(CertificateAuthority authority, bssl::UniquePtr<EVP_PKEY> key, Now now);
  bool StillGood(const Leaf& leaf, time_t now) const;

  const CertificateAuthority authority_;
  const bssl::UniquePtr<EVP_PKEY> key_;
  const Now now_;

  // Held for a look-up or one mint.
  mutable Mutex mutex_;
  mutable LruMap<Leaf> leaves_ ABSL_GUARDED_BY(mutex_){kMaxLeaves};
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TLS_LEAF_CACHE_H_
