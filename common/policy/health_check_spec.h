// How a handler's endpoints are asked whether they serve.

#ifndef SALLYPORT_COMMON_POLICY_HEALTH_CHECK_SPEC_H_
#define SALLYPORT_COMMON_POLICY_HEALTH_CHECK_SPEC_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/policy/problems.h"
#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport {

// A value.
struct HealthCheckSpec {
  std::string service;  // Empty: the server as a whole.
  int64_t interval_ms = 5'000;
  int64_t timeout_ms = 1'000;

  static absl::StatusOr<HealthCheckSpec> FromProto(const v1::HealthCheck& check);
  friend bool operator==(const HealthCheckSpec&, const HealthCheckSpec&) = default;
};

// Fills defaults in.
void NormaliseHealthCheck(std::string_view path, v1::HealthCheck* check, Problems* problems);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_HEALTH_CHECK_SPEC_H_
