// Who is concerned by what: which resources a host needs, and which hosts a resource is sent to.
// Pure.

#ifndef SALLYPORT_CONTROLPLANE_CONCERN_H_
#define SALLYPORT_CONTROLPLANE_CONCERN_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>

#include "controlplane/store/state.h"
#include "proto/sallyport/v1/sync.pb.h"

namespace sallyport {

// A value for v1::ResourceKey, ordered: classes, containers, handlers, secrets, each by name.
struct ResourceId {
  v1::ResourceKind kind = v1::RESOURCE_KIND_UNSPECIFIED;
  std::string name;

  static ResourceId Class(std::string name) { return {v1::RESOURCE_KIND_CLASS, std::move(name)}; }
  static ResourceId Container(std::string id) {
    return {v1::RESOURCE_KIND_CONTAINER, std::move(id)};
  }
  static ResourceId Handler(std::string name) {
    return {v1::RESOURCE_KIND_HANDLER, std::move(name)};
  }
  static ResourceId Secret(std::string name) { return {v1::RESOURCE_KIND_SECRET, std::move(name)}; }
  static ResourceId FromProto(const v1::ResourceKey& key) { return {key.kind(), key.name()}; }
  v1::ResourceKey ToProto() const;
  // `class untrusted`, for messages.
  std::string ToString() const;

  friend bool operator==(const ResourceId& a, const ResourceId& b) {
    return std::tie(a.kind, a.name) == std::tie(b.kind, b.name);
  }
  friend bool operator<(const ResourceId& a, const ResourceId& b) {
    return std::tie(a.kind, a.name) < std::tie(b.kind, b.name);
  }
};

// Resources and the revision of each.
using ResourceRevisions = std::map<ResourceId, uint64_t>;

// What a host with these containers is sent: their policies, their classes, the registered handlers
// that the rules of either name, and the secrets that these refer to.
ResourceRevisions ResourcesNeeded(const State& state, const std::set<std::string>& container_ids);

// Whether the host is sent the resource, or would be if it existed.
bool IsConcerned(const State& state, const std::string& host, const ResourceId& resource);

// Names of the hosts that are sent the resource, or would be if it existed.
std::set<std::string> ConcernedHosts(const State& state, const ResourceId& resource);

// The resource as it is stored; nullopt: there is none.
std::optional<v1::Resource> ResourceOf(const State& state, const ResourceId& id);

// The revision of the last change that concerns the resource: of a container also changes of its
// class and of the handlers of both. 0: there is none.
uint64_t StoredRevision(const State& state, const ResourceId& resource);

// REQUIRES: the resource is in `state`. A secret's value is sealed.
void FillResource(const State& state, const ResourceId& id, v1::Resource* resource);

// The change from what an agent has to what it needs. REQUIRES: every resource of `needed` is in
// `state`. `epoch`, `revision` and `reset` are the caller's.
void FillDelta(const State& state, const ResourceRevisions& needed, const ResourceRevisions& has,
               v1::Delta* delta);

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_CONCERN_H_
