#include "controlplane/attachments.h"

#include <vector>

#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/policy/effective_policy.h"

namespace sallyport {
namespace {

absl::Status EnsureContainer(const v1::Attached& attached, Transaction* transaction) {
  RETURN_IF_ERROR(ValidateContainerId(attached.container_id()));
  const auto existing = transaction->state().containers.Find(attached.container_id());
  if (existing == nullptr) {
    RETURN_IF_ERROR(ValidateName("class_name", attached.class_name()));
    RETURN_IF_ERROR(CheckClassExists(transaction->state(), attached.class_name()));
    v1::ContainerPolicy policy;
    policy.set_container_id(attached.container_id());
    policy.set_class_name(attached.class_name());
    transaction->PutContainer(policy);
    return absl::OkStatus();
  }
  const std::string& class_name = existing->value.class_name();
  if (attached.class_name().empty() || attached.class_name() == class_name) return absl::OkStatus();
  return absl::AlreadyExistsError(StrCat("container ", attached.container_id(), " is of class ",
                                         class_name, ", not ", Quote(attached.class_name()),
                                         "; attach it with its class, or delete it first"));
}

}  // namespace

absl::Status Attach(const std::string& host, const v1::Attached& attached, Arrival arrival,
                    Takeover takeover, const IsLive& is_live, Transaction* transaction) {
  const State& state = transaction->state();
  const auto placed = state.placements.Find(attached.container_id());
  if (placed != nullptr && arrival == Arrival::kBack &&
      state.containers.Find(attached.container_id()) == nullptr) {
    return absl::NotFoundError(StrCat("container ", attached.container_id(),
                                      " is not in the backup that the store was restored from: it ",
                                      "reaches nothing until it is detached and attached anew"));
  }
  if (placed != nullptr && *placed != host && is_live(*placed)) {
    return absl::FailedPreconditionError(StrCat("container ", attached.container_id(),
                                                " is attached on host ", *placed,
                                                "; detach it there first"));
  }
  if (placed != nullptr && *placed != host && takeover == Takeover::kRefused) {
    return absl::PermissionDeniedError(
        StrCat("container ", attached.container_id(), " is placed on host ", *placed,
               ", which is not connected; an admin may free it with `sallyport container delete`"));
  }
  RETURN_IF_ERROR(EnsureContainer(attached, transaction));
  transaction->Place(attached.container_id(), host,
                     attached.ephemeral() ? Stay::kEphemeral : Stay::kLasting);
  return absl::OkStatus();
}

void Detach(const std::string& host, const v1::Detached& detached, Transaction* transaction) {
  const auto placed = transaction->state().placements.Find(detached.container_id());
  if (placed == nullptr || *placed != host) return;
  transaction->Unplace(detached.container_id());
  if (detached.forget()) transaction->DeleteContainer(detached.container_id());
}

void DetachOthers(const std::string& host, const std::set<std::string>& container_ids,
                  Transaction* transaction) {
  const auto placed = transaction->state().hosts.Find(host);
  if (placed == nullptr) return;
  for (const std::string& id : *placed) {
    if (container_ids.contains(id)) continue;
    if (transaction->state().StayOf(id) == Stay::kEphemeral) {
      transaction->DeleteContainer(id);
    } else {
      transaction->Unplace(id);
    }
  }
}

absl::Status CheckClassExists(const State& state, const std::string& class_name) {
  constexpr size_t kShown = 5;
  if (state.classes.Find(class_name) != nullptr) return absl::OkStatus();
  if (state.classes.size() == 0) {
    return absl::NotFoundError(StrCat("there is no class ", Quote(class_name),
                                      ", nor any other; make one with ApplyClass"));
  }
  std::vector<std::string> names;
  for (const auto& [name, record] : state.classes.Sorted()) {
    if (names.size() == kShown) {
      names.push_back("…");
      break;
    }
    names.push_back(name);
  }
  return absl::NotFoundError(
      StrCat("there is no class ", Quote(class_name), "; there are: ", absl::StrJoin(names, ", ")));
}

}  // namespace sallyport
