#include "controlplane/concern.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "common/base/check.h"
#include "common/base/strings.h"

namespace sallyport {
namespace {

bool Names(const std::vector<std::string>& sorted, const std::string& name) {
  return std::binary_search(sorted.begin(), sorted.end(), name);
}

// Whether one of these handlers is the resource, or refers to it.
bool Use(const State& state, const std::vector<std::string>& handlers, const ResourceId& resource) {
  if (resource.kind == v1::RESOURCE_KIND_HANDLER) return Names(handlers, resource.name);
  return std::any_of(handlers.begin(), handlers.end(), [&](const std::string& name) {
    const HandlerRecord* const handler = state.handlers.Peek(name);
    return handler != nullptr && Names(handler->secrets, resource.name);
  });
}

// Whether a host that has the container is sent the resource.
bool Needs(const State& state, const std::string& container_id, const ResourceId& resource) {
  const ContainerRecord* const container = state.containers.Peek(container_id);
  if (container == nullptr) return false;
  if (resource.kind == v1::RESOURCE_KIND_CLASS) {
    return container->value.class_name() == resource.name;
  }
  if (Use(state, container->handlers, resource)) return true;
  const ClassRecord* const container_class = state.classes.Peek(container->value.class_name());
  return container_class != nullptr && Use(state, container_class->handlers, resource);
}

}  // namespace

v1::ResourceKey ResourceId::ToProto() const {
  v1::ResourceKey key;
  key.set_kind(kind);
  key.set_name(name);
  return key;
}

std::string ResourceId::ToString() const {
  switch (kind) {
    case v1::RESOURCE_KIND_CLASS:
      return StrCat("class ", name);
    case v1::RESOURCE_KIND_CONTAINER:
      return StrCat("container ", name);
    case v1::RESOURCE_KIND_HANDLER:
      return StrCat("handler ", name);
    case v1::RESOURCE_KIND_SECRET:
      return StrCat("secret ", name);
    default:
      return StrCat("resource ", Quote(name));
  }
}

ResourceRevisions ResourcesNeeded(const State& state, const std::set<std::string>& container_ids) {
  ResourceRevisions needed;
  const auto add_handlers = [&](const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      const HandlerRecord* const handler = state.handlers.Peek(name);
      if (handler == nullptr) continue;
      needed.emplace(ResourceId::Handler(name), handler->revision);
      for (const std::string& used : handler->secrets) {
        const SecretRecord* const secret = state.secrets.Peek(used);
        if (secret != nullptr) needed.emplace(ResourceId::Secret(used), secret->revision);
      }
    }
  };
  const ClassRecord* previous = nullptr;  // Neighbours are often of one class.
  for (const std::string& id : container_ids) {
    const ContainerRecord* const container = state.containers.Peek(id);
    if (container == nullptr) continue;
    needed.emplace(ResourceId::Container(id), container->revision);
    add_handlers(container->handlers);
    const std::string& class_name = container->value.class_name();
    if (previous != nullptr && previous->value.name() == class_name) continue;
    previous = state.classes.Peek(class_name);
    if (previous == nullptr) continue;
    if (needed.emplace(ResourceId::Class(class_name), previous->revision).second) {
      add_handlers(previous->handlers);
    }
  }
  return needed;
}

bool IsConcerned(const State& state, const std::string& host, const ResourceId& resource) {
  const std::set<std::string>* const container_ids = state.hosts.Peek(host);
  if (container_ids == nullptr) return false;
  if (resource.kind == v1::RESOURCE_KIND_CONTAINER) return container_ids->contains(resource.name);
  return std::any_of(container_ids->begin(), container_ids->end(),
                     [&](const std::string& id) { return Needs(state, id, resource); });
}

std::set<std::string> ConcernedHosts(const State& state, const ResourceId& resource) {
  std::set<std::string> concerned;
  if (resource.kind == v1::RESOURCE_KIND_CONTAINER) {
    const auto host = state.placements.Find(resource.name);
    if (host != nullptr) concerned.insert(*host);
    return concerned;
  }
  state.hosts.ForEach([&](const std::string& host, const std::set<std::string>&) {
    if (IsConcerned(state, host, resource)) concerned.insert(host);
  });
  return concerned;
}

uint64_t StoredRevision(const State& state, const ResourceId& resource) {
  const auto revision = [&](const auto& map) -> uint64_t {
    const auto record = map.Find(resource.name);
    return record == nullptr ? 0 : record->revision;
  };
  switch (resource.kind) {
    case v1::RESOURCE_KIND_CLASS:
      return revision(state.classes);
    case v1::RESOURCE_KIND_HANDLER:
      return revision(state.handlers);
    case v1::RESOURCE_KIND_SECRET:
      return revision(state.secrets);
    case v1::RESOURCE_KIND_CONTAINER: {
      uint64_t newest = 0;
      for (const auto& [needed, of_needed] : ResourcesNeeded(state, {resource.name})) {
        newest = std::max(newest, of_needed);
      }
      return newest;
    }
    default:
      return 0;
  }
}

void FillResource(const State& state, const ResourceId& id, v1::Resource* resource) {
  const auto fill = [&](const auto& map, auto mutable_value) {
    const auto record = map.Find(id.name);
    SALLYPORT_CHECK(record != nullptr);
    resource->set_revision(record->revision);
    *(resource->*mutable_value)() = record->value;
  };
  switch (id.kind) {
    case v1::RESOURCE_KIND_CLASS:
      return fill(state.classes, &v1::Resource::mutable_class_);
    case v1::RESOURCE_KIND_CONTAINER:
      return fill(state.containers, &v1::Resource::mutable_container);
    case v1::RESOURCE_KIND_HANDLER:
      return fill(state.handlers, &v1::Resource::mutable_handler);
    case v1::RESOURCE_KIND_SECRET: {
      const auto record = state.secrets.Find(id.name);
      SALLYPORT_CHECK(record != nullptr);
      resource->set_revision(record->revision);
      resource->mutable_secret()->set_name(id.name);
      resource->mutable_secret()->set_value(record->sealed);
      return;
    }
    default:
      SALLYPORT_CHECK(false);
  }
}

std::optional<v1::Resource> ResourceOf(const State& state, const ResourceId& id) {
  if (StoredRevision(state, id) == 0) return std::nullopt;
  v1::Resource resource;
  FillResource(state, id, &resource);
  return resource;
}

void FillDelta(const State& state, const ResourceRevisions& needed, const ResourceRevisions& has,
               v1::Delta* delta) {
  for (const auto& [id, revision] : needed) {
    const auto it = has.find(id);
    if (it != has.end() && it->second == revision) continue;
    FillResource(state, id, delta->add_updated());
  }
  for (const auto& [id, revision] : has) {
    if (!needed.contains(id)) *delta->add_removed() = id.ToProto();
  }
}

}  // namespace sallyport
