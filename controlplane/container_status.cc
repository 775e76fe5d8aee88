#include "controlplane/container_status.h"

#include <optional>

#include "common/policy/effective_policy.h"
#include "controlplane/concern.h"

namespace sallyport {

v1::ContainerStatus MakeContainerStatus(const State& state, const ContainerRecord& container,
                                        const Waiters& waiters) {
  const std::string& id = container.value.container_id();
  const ResourceRevisions concerns = ResourcesNeeded(state, {id});
  v1::ContainerStatus status;
  *status.mutable_policy() = container.value;
  status.set_stored_revision(StoredRevision(state, ResourceId::Container(id)));

  const auto host = state.placements.Find(id);
  if (host != nullptr) {
    status.set_host(*host);
    const std::optional<Waiters::Progress> progress = waiters.ProgressOf(*host);
    if (progress.has_value()) {
      status.set_enforced_revision(progress->revision);
      for (const auto& [resource, reason] : progress->rejections) {
        if (concerns.contains(resource)) status.set_rejection(reason);
      }
    }
  }

  const auto container_class = state.classes.Find(container.value.class_name());
  const auto list = [](const v1::HostList& of_class, bool set, const v1::HostListOverride& edits) {
    return EffectiveList(set ? &of_class : nullptr, &edits);
  };
  static const v1::ContainerClass kNoClass;
  const v1::ContainerClass& rules = container_class == nullptr ? kNoClass : container_class->value;
  const std::optional<v1::HostList> allowed =
      list(rules.allowed_hosts(), rules.has_allowed_hosts(), container.value.allowed_hosts());
  if (allowed.has_value()) *status.mutable_effective_allowed_hosts() = *allowed;
  const std::optional<v1::HostList> denied =
      list(rules.denied_hosts(), rules.has_denied_hosts(), container.value.denied_hosts());
  if (denied.has_value()) *status.mutable_effective_denied_hosts() = *denied;
  return status;
}

}  // namespace sallyport
