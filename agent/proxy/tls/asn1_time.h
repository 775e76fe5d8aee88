// Times in certificates as numbers.

#ifndef SALLYPORT_AGENT_PROXY_TLS_ASN1_TIME_H_
#define SALLYPORT_AGENT_PROXY_TLS_ASN1_TIME_H_

#include <openssl/asn1.h>

#include <ctime>
#include <optional>

namespace sallyport::proxy {

// Seconds since 1970; absent if it is no valid time.
std::optional<time_t> ToTime(const ASN1_TIME* time);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TLS_ASN1_TIME_H_
