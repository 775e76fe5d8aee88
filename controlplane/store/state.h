// What the control plane knows at one revision: a value. Readers and sync sessions hold one as
// shared_ptr<const State> for as long as they like.

#ifndef SALLYPORT_CONTROLPLANE_STORE_STATE_H_
#define SALLYPORT_CONTROLPLANE_STORE_STATE_H_

#include <cstdint>
#include <memory>
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
  // Names of the store's secrets that it refers to, sorted. Derived.
  std::vector<std::string> secrets;
};

struct SecretRecord {
  std::string sealed;  // By SecretSealer.
  uint64_t revision = 0;
};

// A mutation that was carried out under an id of its caller's.
struct RequestRecord {
  uint64_t number = 0;      // Counts them, from 1.
  uint64_t revision = 0;    // What was answered.
  std::string fingerprint;  // Of the call's method and content.
};

// What becomes of a container's record when it leaves its host.
enum class Stay {
  kLasting,    // It is there when the container comes again.
  kEphemeral,  // It goes along.
};

// So many request ids are remembered.
inline constexpr uint64_t kMaxRequests = 100'000;

struct State {
  // Made at random with the store, never 0; revisions of different epochs do not compare.
  uint64_t epoch = 0;
  // Grows by one with each transaction that changed something.
  uint64_t revision = 0;
  CowMap<ClassRecord> classes;
  CowMap<ContainerRecord> containers;
  CowMap<HandlerRecord> handlers;
  CowMap<SecretRecord> secrets;
  // Name of a host → the keys by which its agents sign identity tokens: a serialized
  // v1::IdentityKeys.
  CowMap<std::string> identity_keys;
  // Container id → name of the host that attached it last and has not let go of it.
  CowMap<std::string> placements;
  // The same the other way round. Derived.
  CowMap<std::set<std::string>> hosts;
  // Ids of placed containers that are Stay::kEphemeral.
  CowMap<Stay> ephemerals;
  // The newest kMaxRequests by id.
  CowMap<RequestRecord> requests;
  // Number of the newest; 0: there was none.
  uint64_t last_request = 0;
  // A ring: number modulo kMaxRequests, in decimal → id. Derived.
  CowMap<std::string> request_ring;

  // These keep the derived parts right.
  void SetClass(v1::ContainerClass value, uint64_t revision_of_change);
  void SetContainer(v1::ContainerPolicy value, uint64_t revision_of_change);
  void SetHandler(v1::Handler value, uint64_t revision_of_change);
  void SetSecret(const std::string& name, std::string sealed, uint64_t revision_of_change);
  void Place(const std::string& container_id, const std::string& host, Stay stay = Stay::kLasting);
  void Unplace(const std::string& container_id);
  // Of a container that is placed.
  Stay StayOf(const std::string& container_id) const;
  // The id of the request whose place in the ring a request of that number takes; null: the place
  // is free.
  std::shared_ptr<const std::string> RequestInPlaceOf(uint64_t number) const;
  // REQUIRES: that place is free, or the request in it is gone from `requests`.
  void SetRequest(const std::string& id, RequestRecord record);
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_STORE_STATE_H_
