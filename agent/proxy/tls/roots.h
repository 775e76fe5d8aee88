// The system's root certificates.

#ifndef SALLYPORT_AGENT_PROXY_TLS_ROOTS_H_
#define SALLYPORT_AGENT_PROXY_TLS_ROOTS_H_

#include <openssl/x509.h>

#include <utility>

#include "agent/proxy/tls/upstream.h"

namespace sallyport::proxy {

// Immutable; BoringSSL locks what it memoizes inside. Thread-safe.
class UpstreamTls::Roots {
 public:
  explicit Roots(bssl::UniquePtr<X509_STORE> store) : store_(std::move(store)) {}

  bssl::UniquePtr<X509_STORE> NewReference() const { return bssl::UpRef(store_); }

 private:
  const bssl::UniquePtr<X509_STORE> store_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TLS_ROOTS_H_
