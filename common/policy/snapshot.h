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
#include "common/policy/handler_spec.h"
#include "proto/sallyport/v1/policy.pb.h"
#include "proto/sallyport/v1/sync.pb.h"

namespace sallyport {

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
  // A container whose class is not (yet) known has no entry in the snapshot: it reaches nothing. A
  // delta older than what is held changes nothing.
  Applied Apply(const v1::Delta& delta);

 private:
  template <typename T>
  struct Entry {
    T value;
    uint64_t revision = 0;
  };
  struct Change;

  void Update(const v1::Resource& resource, PolicySnapshot* next, Change* change);
  void Remove(const v1::ResourceKey& key, PolicySnapshot* next, Change* change);
  // The effective policy of one container anew.
  void Rebuild(const Entry<v1::ContainerPolicy>& container, PolicySnapshot* next, Change* change);

  std::map<std::string, Entry<v1::ContainerClass>> classes_;
  std::map<std::string, Entry<v1::ContainerPolicy>> containers_;
  std::shared_ptr<const PolicySnapshot> current_ = std::make_shared<PolicySnapshot>();
};

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_SNAPSHOT_H_
