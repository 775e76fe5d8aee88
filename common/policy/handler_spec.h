// A registered handler, parsed.

#ifndef SALLYPORT_COMMON_POLICY_HANDLER_SPEC_H_
#define SALLYPORT_COMMON_POLICY_HANDLER_SPEC_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/builtin/builtin_spec.h"
#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport {

// Immutable.
struct HandlerSpec {
  struct Endpoint {
    std::string host;  // Name or address, no brackets.
    uint16_t port = 0;
  };
  std::string name;
  std::vector<Endpoint> endpoints;             // Empty: built in.
  std::shared_ptr<const BuiltinSpec> builtin;  // Null: a service.
  int64_t timeout_ms = 30'000;
  bool egress_on_failure = false;
  uint64_t revision = 0;
  uint64_t lease_epoch = 0;  // When it changes, every lease of the handler ends.

  static absl::StatusOr<HandlerSpec> FromProto(const v1::Handler& handler, uint64_t revision);
};

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_HANDLER_SPEC_H_
