// The header by which a web server leases its answer: a dictionary of structured fields (RFC 9651),
//
//   sallyport-lease: ttl=60, max-uses=100, methods=(GET HEAD), path-prefix="/repos/acme"
//
// Pure.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_LEASE_HEADER_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_LEASE_HEADER_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "proto/sallyport/v1/handler.pb.h"

namespace sallyport::proxy {

// Yet to be validated (lease_terms.h). `ttl` is in seconds, an integer or a decimal. Only `ttl` is
// required. INVALID_ARGUMENT, with a sentence for the operator: not such a dictionary, a member
// that is unknown or stands twice, a value of another type, or parameters.
absl::StatusOr<v1::Lease> ParseLeaseHeader(std::string_view value);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_LEASE_HEADER_H_
