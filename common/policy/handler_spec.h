// A registered handler, parsed.

#ifndef SALLYPORT_COMMON_POLICY_HANDLER_SPEC_H_
#define SALLYPORT_COMMON_POLICY_HANDLER_SPEC_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/builtin/builtin_spec.h"
#include "common/policy/handler_endpoint.h"
#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport {

// Immutable.
struct HandlerSpec {
  std::string name;
  std::vector<HandlerEndpoint> endpoints;  // All speak `protocol`; empty: built in.
  HandlerEndpoint::Protocol protocol = HandlerEndpoint::Protocol::kGrpc;
  std::shared_ptr<const BuiltinSpec> builtin;  // Null: a service.
  int64_t timeout_ms = 30'000;
  int64_t connect_timeout_ms = 5'000;
  bool egress_on_failure = false;
  int retries = 0;
  int64_t max_concurrency = 0;  // Of one container; 0: no limit.
  uint64_t revision = 0;
  uint64_t lease_epoch = 0;  // When it changes, every lease of the handler ends.

  static absl::StatusOr<HandlerSpec> FromProto(const v1::Handler& handler, uint64_t revision);
};

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_HANDLER_SPEC_H_
