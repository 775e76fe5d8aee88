// Everything a proxy decides by, as one immutable value, and how deltas turn one into the next.

#ifndef SALLYPORT_COMMON_POLICY_SNAPSHOT_H_
#define SALLYPORT_COMMON_POLICY_SNAPSHOT_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/policy/effective_policy.h"
#include "proto/sallyport/v1/policy.pb.h"
#include "proto/sallyport/v1/sync.pb.h"

namespace sallyport {

// A registered handler, parsed. Immutable.
struct HandlerSpec {
  struct Endpoint {
    std::string host;  // Name or address, no brackets.
    uint16_t port = 0;
  };
  std::string name;
  std::vector<Endpoint> endpoints;
  int64_t timeout_ms = 30'000;
  bool egress_on_failure = false;
  uint64_t revision = 0;

  static absl::StatusOr<HandlerSpec> FromProto(const v1::Handler& handler, uint64_t revision);
};

// Immutable; shared between workers as shared_ptr<const PolicySnapshot>.
struct PolicySnapshot {
  uint64_t revision = 0;
  absl::flat_hash_map<std::string, std::shared_ptr<const EffectivePolicy>> containers;
  absl::flat_hash_map<std::string, std::shared_ptr<const HandlerSpec>> handlers;
};

// Holds the resources that deltas named and builds snapshots of them. Not thread-safe.
class SnapshotBuilder {
 public:
  struct Applied {
    std::shared_ptr<const PolicySnapshot> snapshot;
    // Resources that cannot be used; the last good version of each stays in force.
    std::vector<v1::Ack::Rejected> rejected;
  };
  // A container whose class is not (yet) known has no entry in the snapshot: it reaches nothing.
  Applied Apply(const v1::Delta& delta);

 private:
  template <typename T>
  struct Entry {
    T value;
    uint64_t revision = 0;
  };
  std::map<std::string, Entry<v1::ContainerClass>> classes_;
  std::map<std::string, Entry<v1::ContainerPolicy>> containers_;
  std::shared_ptr<const PolicySnapshot> current_ = std::make_shared<PolicySnapshot>();
};

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_SNAPSHOT_H_
