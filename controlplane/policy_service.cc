#include "controlplane/policy_service.h"

#include <memory>
#include <string>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/policy/effective_policy.h"
#include "common/policy/normalise.h"
#include "common/policy/validate.h"
#include "common/policy/whole_policy.h"
#include "controlplane/apply_policy.h"
#include "controlplane/attachments.h"
#include "controlplane/class_warnings.h"
#include "controlplane/container_list.h"
#include "controlplane/container_status.h"
#include "controlplane/mutation_call.h"
#include "controlplane/unary.h"
#include "controlplane/watch_session.h"

namespace sallyport {
namespace {

// For what no host has to enforce.
v1::MutationOptions Stored(v1::MutationOptions options) {
  options.set_wait(v1::WAIT_STORED);
  options.clear_timeout();
  return options;
}

absl::Status CreateContainer(const v1::CreateContainerRequest& request, Transaction* transaction) {
  const auto existing = transaction->state().containers.Find(request.container_id());
  if (existing != nullptr) {
    if (existing->value.class_name() == request.class_name()) return absl::OkStatus();
    return absl::AlreadyExistsError(StrCat("container_id: container ", request.container_id(),
                                           " is there already, of class ",
                                           existing->value.class_name()));
  }
  RETURN_IF_ERROR(CheckClassExists(transaction->state(), request.class_name()));
  v1::ContainerPolicy policy;
  policy.set_container_id(request.container_id());
  policy.set_class_name(request.class_name());
  transaction->PutContainer(policy);
  return absl::OkStatus();
}

absl::Status DeleteContainer(const std::string& id, const SyncHub& hub, Transaction* transaction) {
  const auto host = transaction->state().placements.Find(id);
  // A host that is away cannot detach it, perhaps never.
  if (host != nullptr && hub.IsLive(*host)) {
    return absl::FailedPreconditionError(
        StrCat("container ", id, " is attached on host ", *host, "; detach it there first"));
  }
  transaction->DeleteContainer(id);
  return absl::OkStatus();
}

absl::Status DeleteClass(const std::string& name, Transaction* transaction) {
  RETURN_IF_ERROR(CheckClassExists(transaction->state(), name));
  std::string user;
  size_t users = 0;
  transaction->state().containers.ForEach(
      [&](const std::string& id, const ContainerRecord& record) {
        if (record.value.class_name() != name) return;
        ++users;
        if (user.empty() || id < user) user = id;
      });
  if (users > 0) {
    return absl::FailedPreconditionError(StrCat("class ", name, " is that of ", users,
                                                " containers, ", user,
                                                " for one; delete them first"));
  }
  transaction->DeleteClass(name);
  return absl::OkStatus();
}

}  // namespace

PolicyService::Reactor* PolicyService::ApplyClass(Context* context,
                                                  const v1::ApplyClassRequest* request,
                                                  v1::ApplyClassResponse* response) {
  v1::ContainerClass value = request->class_();
  Problems problems;
  NormaliseClass("class", &value, &problems);
  CheckOptions(request->options(), &problems);
  if (!problems.empty()) return Answer(context, problems.ToStatus());
  *response->mutable_class_() = value;
  return StartMutation(control_plane_, context,
                       {"ApplyClass",
                        request,
                        {ResourceId::Class(value.name())},
                        request->options(),
                        [value](Transaction& transaction) {
                          transaction.PutClass(value);
                          return absl::OkStatus();
                        },
                        [value, response](const State& state, const v1::MutationResult& result) {
                          for (const std::string& warning : ClassWarnings("class", value, state)) {
                            response->add_warnings(warning);
                          }
                          *response->mutable_result() = result;
                        }});
}

PolicyService::Reactor* PolicyService::GetClass(Context* context,
                                                const v1::GetClassRequest* request,
                                                v1::GetClassResponse* response) {
  absl::Status status = ValidateName("name", request->name());
  const auto state = control_plane_->store->Read();
  if (status.ok()) status = CheckClassExists(*state, request->name());
  if (!status.ok()) return Answer(context, status);
  const auto record = state->classes.Find(request->name());
  *response->mutable_class_() = record->value;
  response->set_revision(record->revision);
  return Answer(context, absl::OkStatus());
}

PolicyService::Reactor* PolicyService::ListClasses(Context* context, const v1::ListClassesRequest*,
                                                   v1::ListClassesResponse* response) {
  for (const auto& [name, record] : control_plane_->store->Read()->classes.Sorted()) {
    *response->add_classes() = record->value;
  }
  return Answer(context, absl::OkStatus());
}

PolicyService::Reactor* PolicyService::DeleteClass(Context* context,
                                                   const v1::DeleteClassRequest* request,
                                                   v1::DeleteClassResponse* response) {
  Problems problems;
  problems.Add(ValidateName("name", request->name()));
  CheckOptions(request->options(), &problems);
  if (!problems.empty()) return Answer(context, problems.ToStatus());
  return StartMutation(control_plane_, context,
                       {"DeleteClass",
                        request,
                        {ResourceId::Class(request->name())},
                        Stored(request->options()),
                        [request](Transaction& transaction) {
                          return sallyport::DeleteClass(request->name(), &transaction);
                        },
                        [response](const State&, const v1::MutationResult& result) {
                          response->set_revision(result.revision());
                        }});
}

PolicyService::Reactor* PolicyService::CreateContainer(Context* context,
                                                       const v1::CreateContainerRequest* request,
                                                       v1::CreateContainerResponse* response) {
  Problems problems;
  problems.Add(ValidateContainerId(request->container_id()));
  problems.Add(ValidateName("class_name", request->class_name()));
  CheckOptions(request->options(), &problems);
  if (!problems.empty()) return Answer(context, problems.ToStatus());
  return StartMutation(control_plane_, context,
                       {"CreateContainer",
                        request,
                        {ResourceId::Container(request->container_id())},
                        Stored(request->options()),
                        [request](Transaction& transaction) {
                          return sallyport::CreateContainer(*request, &transaction);
                        },
                        [response](const State&, const v1::MutationResult& result) {
                          response->set_revision(result.revision());
                        }});
}

PolicyService::Reactor* PolicyService::GetContainer(Context* context,
                                                    const v1::GetContainerRequest* request,
                                                    v1::GetContainerResponse* response) {
  const absl::Status valid = ValidateContainerId(request->container_id());
  if (!valid.ok()) return Answer(context, valid);
  const auto state = control_plane_->store->Read();
  const auto record = state->containers.Find(request->container_id());
  if (record == nullptr) return Answer(context, NoContainer(request->container_id()));
  *response->mutable_container() = MakeContainerStatus(*state, *record, *control_plane_->waiters);
  return Answer(context, absl::OkStatus());
}

PolicyService::Reactor* PolicyService::ListContainers(Context* context,
                                                      const v1::ListContainersRequest* request,
                                                      v1::ListContainersResponse* response) {
  return Answer(context, FillContainerList(*control_plane_->store->Read(), *control_plane_->waiters,
                                           *request, response));
}

PolicyService::Reactor* PolicyService::DeleteContainer(Context* context,
                                                       const v1::DeleteContainerRequest* request,
                                                       v1::DeleteContainerResponse* response) {
  Problems problems;
  problems.Add(ValidateContainerId(request->container_id()));
  CheckOptions(request->options(), &problems);
  if (!problems.empty()) return Answer(context, problems.ToStatus());
  return StartMutation(control_plane_, context,
                       {"DeleteContainer",
                        request,
                        {ResourceId::Container(request->container_id())},
                        Stored(request->options()),
                        [request, hub = control_plane_->hub](Transaction& transaction) {
                          return sallyport::DeleteContainer(request->container_id(), *hub,
                                                            &transaction);
                        },
                        [response](const State&, const v1::MutationResult& result) {
                          response->set_revision(result.revision());
                        }});
}

grpc::ServerWriteReactor<v1::WatchResponse>* PolicyService::Watch(Context* context,
                                                                  const v1::WatchRequest* request) {
  return WatchSession::Start(control_plane_, context->auth_context(), request->container_id());
}

PolicyService::Reactor* PolicyService::ApplyPolicy(Context* context,
                                                   const v1::ApplyPolicyRequest* request,
                                                   v1::ApplyPolicyResponse* response) {
  const auto policy = std::make_shared<v1::ApplyPolicyRequest>(*request);
  Problems problems;
  NormalisePolicy(policy.get(), &problems);
  CheckOptions(request->options(), &problems);
  if (!problems.empty()) return Answer(context, problems.ToStatus());

  Mutation mutation;
  mutation.method = "ApplyPolicy";
  mutation.request = request;
  mutation.subjects = ResourcesOf(*policy);
  mutation.options = request->options();
  mutation.revision = Mutation::Revision::kOfStore;
  mutation.dry_run = request->dry_run();
  mutation.edit = [policy, response](Transaction& transaction) {
    const State before = transaction.state();
    RETURN_IF_ERROR(PutPolicy(*policy, &transaction));
    response->clear_changes();
    AddChanges(*policy, before, transaction.state(), response);
    return absl::OkStatus();
  };
  mutation.answer = [policy, response](const State& state, const v1::MutationResult& result) {
    // A repetition of a call that was carried out.
    if (response->changes().empty()) AddChanges(*policy, state, state, response);
    if (policy->dry_run()) {
      ForgetRevisionsAfter(result.revision(), response);
    } else {
      Shorten(response);
    }
    for (int i = 0; i < policy->classes_size(); ++i) {
      for (const std::string& warning :
           ClassWarnings(Element("classes", i), policy->classes(i), state)) {
        response->add_warnings(warning);
      }
    }
    *response->mutable_result() = result;
  };
  return StartMutation(control_plane_, context, std::move(mutation));
}

}  // namespace sallyport
