// The methods of PolicyService that edit one container's rules. They all go the same way; the edits
// themselves are in common/policy/edits.h.

#include "absl/container/flat_hash_set.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/policy/edits.h"
#include "common/policy/effective_policy.h"
#include "common/policy/validate.h"
#include "controlplane/mutation_call.h"
#include "controlplane/policy_service.h"
#include "controlplane/unary.h"

namespace sallyport {
namespace {

template <typename Request>
using Apply = absl::Status (*)(const PolicyContext&, const Request&, v1::ContainerPolicy*);

template <typename Request>
absl::Status EditContainer(Apply<Request> apply, const Request& request, Transaction* transaction) {
  const State& state = transaction->state();
  return transaction->UpdateContainer(
      request.container_id(), [&](v1::ContainerPolicy* policy) -> absl::Status {
        const auto container_class = state.classes.Find(policy->class_name());
        if (container_class == nullptr) {
          return absl::InternalError(
              StrCat("the class of ", request.container_id(), " is missing"));
        }
        absl::flat_hash_set<std::string> handlers;
        state.handlers.ForEach(
            [&](const std::string& name, const HandlerRecord&) { handlers.insert(name); });
        RETURN_IF_ERROR(apply({container_class->value, handlers}, request, policy));
        if (policy->ByteSizeLong() > kMaxResourceBytes) {
          return absl::InvalidArgumentError(
              "container_id: the container's rules would be larger than 8 MiB; remove some first");
        }
        return absl::OkStatus();
      });
}

// What is wrong with the request whatever the container is like.
template <typename Request>
void CheckFields(Apply<Request> apply, const Request& request, Problems* problems) {
  const v1::ContainerClass no_class;
  const absl::flat_hash_set<std::string> no_handlers;
  v1::ContainerPolicy nothing;
  const absl::Status status = apply({no_class, no_handlers}, request, &nothing);
  if (absl::IsInvalidArgument(status)) problems->Add(status);
}

template <typename Request>
grpc::ServerUnaryReactor* Edit(const ControlPlane* control_plane,
                               grpc::CallbackServerContext* context, const char* method,
                               const Request* request, v1::MutationResult* response,
                               Apply<Request> apply) {
  Problems problems;
  problems.Add(ValidateContainerId(request->container_id()));
  CheckOptions(request->options(), &problems);
  if (!problems.empty()) {
    // All that is wrong in one answer; otherwise the edit itself tells.
    CheckFields(apply, *request, &problems);
    return Answer(context, problems.ToStatus());
  }
  return StartMutation(
      control_plane, context,
      {method,
       request,
       {ResourceId::Container(request->container_id())},
       request->options(),
       [apply, request](Transaction& transaction) {
         return EditContainer(apply, *request, &transaction);
       },
       [response](const State&, const v1::MutationResult& result) { *response = result; }});
}

}  // namespace

PolicyService::Reactor* PolicyService::SetOutboundByHost(
    Context* context, const v1::SetOutboundByHostRequest* request, v1::MutationResult* response) {
  return Edit(control_plane_, context, "SetOutboundByHost", request, response,
              &ApplySetOutboundByHost);
}

PolicyService::Reactor* PolicyService::SetOutboundByHosts(
    Context* context, const v1::SetOutboundByHostsRequest* request, v1::MutationResult* response) {
  return Edit(control_plane_, context, "SetOutboundByHosts", request, response,
              &ApplySetOutboundByHosts);
}

PolicyService::Reactor* PolicyService::RemoveOutboundByHost(
    Context* context, const v1::RemoveOutboundByHostRequest* request,
    v1::MutationResult* response) {
  return Edit(control_plane_, context, "RemoveOutboundByHost", request, response,
              &ApplyRemoveOutboundByHost);
}

PolicyService::Reactor* PolicyService::SetOutboundHandler(
    Context* context, const v1::SetOutboundHandlerRequest* request, v1::MutationResult* response) {
  return Edit(control_plane_, context, "SetOutboundHandler", request, response,
              &ApplySetOutboundHandler);
}

PolicyService::Reactor* PolicyService::ClearOutboundHandler(Context* context,
                                                            const v1::ContainerRequest* request,
                                                            v1::MutationResult* response) {
  return Edit(control_plane_, context, "ClearOutboundHandler", request, response,
              &ApplyClearOutboundHandler);
}

PolicyService::Reactor* PolicyService::SetAllowedHosts(Context* context,
                                                       const v1::HostsRequest* request,
                                                       v1::MutationResult* response) {
  return Edit(control_plane_, context, "SetAllowedHosts", request, response, &ApplySetAllowedHosts);
}

PolicyService::Reactor* PolicyService::SetDeniedHosts(Context* context,
                                                      const v1::HostsRequest* request,
                                                      v1::MutationResult* response) {
  return Edit(control_plane_, context, "SetDeniedHosts", request, response, &ApplySetDeniedHosts);
}

PolicyService::Reactor* PolicyService::ClearAllowedHosts(Context* context,
                                                         const v1::ContainerRequest* request,
                                                         v1::MutationResult* response) {
  return Edit(control_plane_, context, "ClearAllowedHosts", request, response,
              &ApplyClearAllowedHosts);
}

PolicyService::Reactor* PolicyService::ClearDeniedHosts(Context* context,
                                                        const v1::ContainerRequest* request,
                                                        v1::MutationResult* response) {
  return Edit(control_plane_, context, "ClearDeniedHosts", request, response,
              &ApplyClearDeniedHosts);
}

PolicyService::Reactor* PolicyService::AllowHost(Context* context, const v1::HostRequest* request,
                                                 v1::MutationResult* response) {
  return Edit(control_plane_, context, "AllowHost", request, response, &ApplyAllowHost);
}

PolicyService::Reactor* PolicyService::DenyHost(Context* context, const v1::HostRequest* request,
                                                v1::MutationResult* response) {
  return Edit(control_plane_, context, "DenyHost", request, response, &ApplyDenyHost);
}

PolicyService::Reactor* PolicyService::RemoveAllowedHost(Context* context,
                                                         const v1::HostRequest* request,
                                                         v1::MutationResult* response) {
  return Edit(control_plane_, context, "RemoveAllowedHost", request, response,
              &ApplyRemoveAllowedHost);
}

PolicyService::Reactor* PolicyService::RemoveDeniedHost(Context* context,
                                                        const v1::HostRequest* request,
                                                        v1::MutationResult* response) {
  return Edit(control_plane_, context, "RemoveDeniedHost", request, response,
              &ApplyRemoveDeniedHost);
}

PolicyService::Reactor* PolicyService::SetEnableInternet(
    Context* context, const v1::SetEnableInternetRequest* request, v1::MutationResult* response) {
  return Edit(control_plane_, context, "SetEnableInternet", request, response,
              &ApplySetEnableInternet);
}

PolicyService::Reactor* PolicyService::InterceptOutboundHttp(Context* context,
                                                             const v1::InterceptRequest* request,
                                                             v1::MutationResult* response) {
  return Edit(control_plane_, context, "InterceptOutboundHttp", request, response,
              &ApplyInterceptOutboundHttp);
}

PolicyService::Reactor* PolicyService::InterceptOutboundHttps(Context* context,
                                                              const v1::InterceptRequest* request,
                                                              v1::MutationResult* response) {
  return Edit(control_plane_, context, "InterceptOutboundHttps", request, response,
              &ApplyInterceptOutboundHttps);
}

PolicyService::Reactor* PolicyService::InterceptAllOutboundHttp(Context* context,
                                                                const v1::InterceptRequest* request,
                                                                v1::MutationResult* response) {
  return Edit(control_plane_, context, "InterceptAllOutboundHttp", request, response,
              &ApplyInterceptAllOutboundHttp);
}

PolicyService::Reactor* PolicyService::RemoveInterceptOutboundHttp(Context* context,
                                                                   const v1::HostRequest* request,
                                                                   v1::MutationResult* response) {
  return Edit(control_plane_, context, "RemoveInterceptOutboundHttp", request, response,
              &ApplyRemoveInterceptOutboundHttp);
}

PolicyService::Reactor* PolicyService::RemoveInterceptOutboundHttps(Context* context,
                                                                    const v1::HostRequest* request,
                                                                    v1::MutationResult* response) {
  return Edit(control_plane_, context, "RemoveInterceptOutboundHttps", request, response,
              &ApplyRemoveInterceptOutboundHttps);
}

PolicyService::Reactor* PolicyService::RemoveInterceptAllOutboundHttp(
    Context* context, const v1::ContainerRequest* request, v1::MutationResult* response) {
  return Edit(control_plane_, context, "RemoveInterceptAllOutboundHttp", request, response,
              &ApplyRemoveInterceptAllOutboundHttp);
}

}  // namespace sallyport
