// What the control plane knows at one revision: a value. Readers and sync sessions hold one as
// shared_ptr<const State> for as long as they like.

#ifndef SALLYPORT_CONTROLPLANE_STORE_STATE_H_
#define SALLYPORT_CONTROLPLANE_STORE_STATE_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "controlplane/store/cow_map.h"
#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport {

struct ClassRecord {
  v1::ContainerClass value;
  uint64_t revision = 0;  // Of its last change.
  // Names of the handlers that its rules use, sorted. Derived.
  std::vector<std::string> handlers;
};

struct ContainerRecord {
  v1::ContainerPolicy value;
  uint64_t revision = 0;
  std::vector<std::string> handlers;
};

struct HandlerRecord {
  v1::Handler value;
  uint64_t revision = 0;
};

struct State {
  // Made at random with the store, never 0; revisions of different epochs do not compare.
  uint64_t epoch = 0;
  // Grows by one with each transaction that changed something.
  uint64_t revision = 0;
  CowMap<ClassRecord> classes;
  CowMap<ContainerRecord> containers;
  CowMap<HandlerRecord> handlers;
  // Container id → name of the host that attached it last and has not let go of it.
  CowMap<std::string> placements;
  // The same the other way round. Derived.
  CowMap<std::set<std::string>> hosts;

  // These keep the derived parts right.
  void SetClass(v1::ContainerClass value, uint64_t revision_of_change);
  void SetContainer(v1::ContainerPolicy value, uint64_t revision_of_change);
  void SetHandler(v1::Handler value, uint64_t revision_of_change);
  void Place(const std::string& container_id, const std::string& host);
  void Unplace(const std::string& container_id);
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_STORE_STATE_H_
