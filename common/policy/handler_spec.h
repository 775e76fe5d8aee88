// A registered handler, parsed.

#ifndef SALLYPORT_COMMON_POLICY_HANDLER_SPEC_H_
#define SALLYPORT_COMMON_POLICY_HANDLER_SPEC_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/builtin/builtin_spec.h"
#include "common/policy/handler_endpoint.h"
#include "common/policy/handler_security.h"
#include "common/policy/health_check_spec.h"
#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport {

// Immutable.
struct HandlerSpec {
  std::string name;
  // Those that get new calls, registered and live ones; all speak `protocol`. Empty: built in, or
  // no service is there now.
  std::vector<HandlerEndpoint> endpoints;
  std::vector<std::string> draining;  // Texts of live ones that get no new calls.
  HandlerEndpoint::Protocol protocol = HandlerEndpoint::Protocol::kGrpc;
  std::shared_ptr<const BuiltinSpec> builtin;  // Null: a service.
  std::optional<HealthCheckSpec> health_check;
  int64_t timeout_ms = 30'000;
  int64_t connect_timeout_ms = 5'000;
  bool egress_on_failure = false;
  int retries = 0;
  int64_t max_concurrency = 0;  // Of one container; 0: no limit.
  uint64_t revision = 0;
  std::optional<HandlerTlsSpec> tls;
  std::optional<IdentityTokenSpec> identity_token;
  uint64_t lease_epoch = 0;  // When it changes, every lease of the handler ends.

  static absl::StatusOr<HandlerSpec> FromProto(const v1::Handler& handler, uint64_t revision);
};

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_HANDLER_SPEC_H_
