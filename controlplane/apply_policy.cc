#include "controlplane/apply_policy.h"

#include <optional>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/policy/edits.h"
#include "common/policy/problems.h"
#include "common/policy/validate.h"
#include "controlplane/attachments.h"

namespace sallyport {
namespace {

constexpr size_t kMaxAnswerBytes = 3 << 20;

// Handlers that a container's rules name, each with the path of the rule's reference.
template <typename Visit>
void VisitReferences(const std::string& path, const v1::ContainerPolicy& policy, Visit visit) {
  for (int i = 0; i < policy.outbound_by_host_size(); ++i) {
    visit(StrCat(path, ".outbound_by_host[", i, "].handler"),
          policy.outbound_by_host(i).handler().handler());
  }
  if (policy.has_outbound()) visit(StrCat(path, ".outbound"), policy.outbound().handler());
  for (int i = 0; i < policy.intercepts_size(); ++i) {
    visit(StrCat(path, ".intercepts[", i, "].handler"), policy.intercepts(i).handler().handler());
  }
}

// Against a state that has the request's handlers and classes already.
void CheckContainer(const std::string& path, const v1::ContainerPolicy& policy, const State& state,
                    const absl::flat_hash_set<std::string>& handlers, Problems* missing,
                    Problems* of_other_class) {
  const std::string& class_name = policy.class_name();
  const auto stored = state.containers.Find(policy.container_id());
  if (stored != nullptr && stored->value.class_name() != class_name) {
    of_other_class->Add(
        StrCat(path, ".class_name"),
        StrCat("container ", policy.container_id(), " is of class ", stored->value.class_name(),
               ", not ", class_name,
               "; a container keeps its class: write that one, or delete the ", "container first"));
    return;
  }
  const auto container_class = state.classes.Find(class_name);
  if (container_class == nullptr) {
    missing->Add(AtField(StrCat(path, ".class_name"), CheckClassExists(state, class_name)));
    return;
  }
  const PolicyContext context{container_class->value, handlers};
  VisitReferences(path, policy, [&](const std::string& of_rule, const std::string& handler) {
    missing->Add(AtField(of_rule, CheckMayUse(context, handler)));
  });
}

}  // namespace

absl::Status PutPolicy(const v1::ApplyPolicyRequest& request, Transaction* transaction) {
  for (int i = 0; i < request.handlers_size(); ++i) {
    RETURN_IF_ERROR(AtField(Element("handlers", i), transaction->PutHandler(request.handlers(i))));
  }
  for (const v1::ContainerClass& value : request.classes()) transaction->PutClass(value);

  const State& state = transaction->state();
  absl::flat_hash_set<std::string> handlers;
  state.handlers.ForEach(
      [&](const std::string& name, const HandlerRecord&) { handlers.insert(name); });
  Problems missing;
  Problems of_other_class;
  for (int i = 0; i < request.containers_size(); ++i) {
    CheckContainer(Element("containers", i), request.containers(i), state, handlers, &missing,
                   &of_other_class);
  }
  if (!of_other_class.empty()) {
    return of_other_class.ToStatus(absl::StatusCode::kFailedPrecondition);
  }
  if (!missing.empty()) return missing.ToStatus(absl::StatusCode::kNotFound);
  for (const v1::ContainerPolicy& policy : request.containers()) transaction->PutContainer(policy);
  return absl::OkStatus();
}

std::vector<ResourceId> ResourcesOf(const v1::ApplyPolicyRequest& request) {
  std::vector<ResourceId> resources;
  for (const v1::Handler& handler : request.handlers()) {
    resources.push_back(ResourceId::Handler(handler.name()));
  }
  for (const v1::ContainerClass& value : request.classes()) {
    resources.push_back(ResourceId::Class(value.name()));
  }
  for (const v1::ContainerPolicy& policy : request.containers()) {
    resources.push_back(ResourceId::Container(policy.container_id()));
  }
  return resources;
}

void AddChanges(const v1::ApplyPolicyRequest& request, const State& before, const State& after,
                v1::ApplyPolicyResponse* response) {
  for (const ResourceId& id : ResourcesOf(request)) {
    v1::PolicyChange* change = response->add_changes();
    *change->mutable_key() = id.ToProto();
    const std::optional<v1::Resource> old = ResourceOf(before, id);
    const std::optional<v1::Resource> now = ResourceOf(after, id);
    if (now.has_value()) *change->mutable_after() = *now;
    if (!old.has_value() && now.has_value()) {
      change->set_kind(v1::PolicyChange::CREATED);
    } else if (old.has_value() && now.has_value() && old->revision() != now->revision()) {
      change->set_kind(v1::PolicyChange::UPDATED);
      *change->mutable_before() = *old;
    } else {
      change->set_kind(v1::PolicyChange::UNCHANGED);
    }
  }
}

void Shorten(v1::ApplyPolicyResponse* response) {
  if (response->ByteSizeLong() <= kMaxAnswerBytes) return;
  for (v1::PolicyChange& change : *response->mutable_changes()) {
    change.clear_before();
    change.clear_after();
  }
}

void ForgetRevisionsAfter(uint64_t present, v1::ApplyPolicyResponse* response) {
  for (v1::PolicyChange& change : *response->mutable_changes()) {
    if (change.after().revision() > present) change.mutable_after()->clear_revision();
  }
}

}  // namespace sallyport
