// Endpoints that services registered by themselves (HandlerRegistry.ServeHandler), beside those
// that a handler is registered with.

#ifndef SALLYPORT_COMMON_POLICY_LIVE_ENDPOINT_H_
#define SALLYPORT_COMMON_POLICY_LIVE_ENDPOINT_H_

#include <string>

#include "absl/status/status.h"
#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport {

// Of one handler, draining ones included.
inline constexpr int kMaxLiveEndpoints = 64;

// Whether these can be one handler's: no builtin, and one protocol. INVALID_ARGUMENT, without a
// field's path.
absl::Status CheckLiveEndpoints(const v1::Handler& handler);

// Adds it, or replaces the one at the same place. INVALID_ARGUMENT as above, RESOURCE_EXHAUSTED if
// there are too many; the handler stays as it was then. REQUIRES: its text is canonical.
absl::Status PutLiveEndpoint(const v1::LiveEndpoint& live, v1::Handler* handler);

// Null: it is not there.
const v1::LiveEndpoint* FindLiveEndpoint(const v1::Handler& handler, const std::string& endpoint);
void RemoveLiveEndpoint(const std::string& endpoint, v1::Handler* handler);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_LIVE_ENDPOINT_H_
