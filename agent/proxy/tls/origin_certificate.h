// What is asked of an origin's certificate beyond BoringSSL's verification.

#ifndef SALLYPORT_AGENT_PROXY_TLS_ORIGIN_CERTIFICATE_H_
#define SALLYPORT_AGENT_PROXY_TLS_ORIGIN_CERTIFICATE_H_

#include <openssl/ssl.h>

#include "absl/status/status.h"

namespace sallyport::proxy {

// After the handshake, a resumed one too, and before any byte of a request. UNAUTHENTICATED: the
// certificate is a CA's that is no root of its own (RFC 5280 section 4.2.1.9 has another use for
// those), or its stapled OCSP response says that it is revoked. The message says which.
absl::Status CheckOriginCertificate(const SSL* ssl);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TLS_ORIGIN_CERTIFICATE_H_
