#include "common/policy/snapshot.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport {
namespace {

v1::Ack::Rejected Rejected(v1::ResourceKind kind, std::string_view name, std::string_view reason) {
  v1::Ack::Rejected rejected;
  rejected.mutable_key()->set_kind(kind);
  rejected.mutable_key()->set_name(std::string(name));
  rejected.set_reason(std::string(reason));
  return rejected;
}

}  // namespace

// What one delta touches, until the snapshot is built.
struct SnapshotBuilder::Change {
  std::vector<v1::Ack::Rejected> rejected;
  absl::flat_hash_set<std::string> classes;
  absl::flat_hash_set<std::string> containers;
  // What a reset forgot: the last good version of a resource that the same delta has an unusable
  // version of.
  std::map<std::string, Entry<v1::ContainerClass>> old_classes;
  std::map<std::string, Entry<v1::ContainerPolicy>> old_containers;
};

SnapshotBuilder::Applied SnapshotBuilder::Apply(const v1::Delta& delta) {
  // A delta that was overtaken must not bring back what a newer one took away.
  if (!delta.reset() && delta.revision() < current_->revision) return {current_, {}};
  auto next = std::make_shared<PolicySnapshot>();
  Change change;
  if (delta.reset()) {
    change.old_classes.swap(classes_);
    change.old_containers.swap(containers_);
  } else {
    *next = *current_;
  }
  next->revision = delta.revision();

  for (const v1::Resource& resource : delta.updated()) Update(resource, next.get(), &change);
  for (const v1::ResourceKey& key : delta.removed()) Remove(key, next.get(), &change);
  for (const auto& [id, container] : containers_) {
    if (change.containers.contains(id) || change.classes.contains(container.value.class_name())) {
      Rebuild(container, next.get(), &change);
    }
  }
  current_ = std::move(next);
  return {current_, std::move(change.rejected)};
}

void SnapshotBuilder::Update(const v1::Resource& resource, PolicySnapshot* next, Change* change) {
  switch (resource.value_case()) {
    case v1::Resource::kClass: {
      v1::ContainerClass value = resource.class_();
      const absl::Status status = NormaliseClass(&value);
      if (!status.ok()) {
        change->rejected.push_back(
            Rejected(v1::RESOURCE_KIND_CLASS, value.name(), ToStd(status.message())));
        if (auto node = change->old_classes.extract(value.name())) {
          classes_.insert(std::move(node));
          change->classes.insert(value.name());
        }
        return;
      }
      change->classes.insert(value.name());
      const std::string name = value.name();
      classes_[name] = {std::move(value), resource.revision()};
      return;
    }
    case v1::Resource::kContainer: {
      v1::ContainerPolicy value = resource.container();
      const absl::Status status = NormaliseContainer(&value);
      if (!status.ok()) {
        change->rejected.push_back(
            Rejected(v1::RESOURCE_KIND_CONTAINER, value.container_id(), ToStd(status.message())));
        if (auto node = change->old_containers.extract(value.container_id())) {
          containers_.insert(std::move(node));
          change->containers.insert(value.container_id());
        }
        return;
      }
      change->containers.insert(value.container_id());
      const std::string id = value.container_id();
      containers_[id] = {std::move(value), resource.revision()};
      return;
    }
    case v1::Resource::kHandler: {
      absl::StatusOr<HandlerSpec> spec =
          HandlerSpec::FromProto(resource.handler(), resource.revision());
      if (!spec.ok()) {
        change->rejected.push_back(Rejected(v1::RESOURCE_KIND_HANDLER, resource.handler().name(),
                                            ToStd(spec.status().message())));
        const auto last_good = current_->handlers.find(resource.handler().name());
        if (last_good != current_->handlers.end()) next->handlers.insert(*last_good);
        return;
      }
      const std::string name = spec->name;
      next->handlers[name] = std::make_shared<const HandlerSpec>(*std::move(spec));
      return;
    }
    case v1::Resource::kSecret:  // Not by this way.
    case v1::Resource::VALUE_NOT_SET:
      change->rejected.push_back(Rejected(v1::RESOURCE_KIND_UNSPECIFIED, "",
                                          "a resource of a kind unknown to this agent"));
      return;
  }
}

void SnapshotBuilder::Remove(const v1::ResourceKey& key, PolicySnapshot* next, Change* change) {
  switch (key.kind()) {
    case v1::RESOURCE_KIND_CLASS:
      classes_.erase(key.name());
      change->classes.insert(key.name());
      return;
    case v1::RESOURCE_KIND_CONTAINER:
      containers_.erase(key.name());
      next->containers.erase(key.name());
      return;
    case v1::RESOURCE_KIND_HANDLER:
      next->handlers.erase(key.name());
      return;
    default:
      change->rejected.push_back(
          Rejected(key.kind(), key.name(), "a resource of a kind unknown to this agent"));
      return;
  }
}

void SnapshotBuilder::Rebuild(const Entry<v1::ContainerPolicy>& container, PolicySnapshot* next,
                              Change* change) {
  const std::string& id = container.value.container_id();
  const auto of_class = classes_.find(container.value.class_name());
  if (of_class == classes_.end()) {
    next->containers.erase(id);
    return;
  }
  absl::StatusOr<EffectivePolicy> policy =
      EffectivePolicy::FromProto(of_class->second.value, container.value,
                                 std::max(of_class->second.revision, container.revision));
  if (!policy.ok()) {
    change->rejected.push_back(
        Rejected(v1::RESOURCE_KIND_CONTAINER, id, ToStd(policy.status().message())));
    return;
  }
  next->containers[id] = std::make_shared<const EffectivePolicy>(*std::move(policy));
}

}  // namespace sallyport
