#include "controlplane/registry_service.h"

#include <chrono>
#include <string_view>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/policy/effective_policy.h"
#include "common/policy/normalise.h"
#include "common/policy/validate.h"
#include "controlplane/identity_keys.h"
#include "controlplane/mutation_call.h"
#include "controlplane/unary.h"

namespace sallyport {
namespace {

// 0: there is no such handler any more.
uint64_t LeaseEpochOf(const State& state, const std::string& name) {
  const auto record = state.handlers.Find(name);
  return record == nullptr ? 0 : record->value.lease_epoch();
}

// Who may register `handler`. A built-in one names secrets and where they are sent: that is more
// than to say where a service of that name listens.
absl::Status CheckRegistrar(const Authorizer& authorizer,
                            const grpc::CallbackServerContext& context,
                            const v1::Handler& handler) {
  constexpr std::string_view kMethod = "/sallyport.v1.HandlerRegistry/RegisterHandler";
  RETURN_IF_ERROR(authorizer.CheckName(context, kMethod, handler.name()));
  if (!handler.has_builtin()) return absl::OkStatus();
  return authorizer.CheckAllNames(
      context, kMethod,
      "a built-in handler can add any secret to requests, so an admin registers it");
}

// What the store adds to a registration.
void FillInStored(const State& state, v1::Handler* handler) {
  handler->clear_lease_epoch();
  handler->clear_live_endpoints();
  const auto record = state.handlers.Find(handler->name());
  if (record == nullptr) return;
  handler->set_lease_epoch(record->value.lease_epoch());
  *handler->mutable_live_endpoints() = record->value.live_endpoints();
}

}  // namespace

RegistryService::Reactor* RegistryService::RegisterHandler(
    Context* context, const v1::RegisterHandlerRequest* request,
    v1::RegisterHandlerResponse* response) {
  v1::Handler handler = request->handler();
  Problems problems;
  NormaliseHandler("handler", &handler, &problems);
  CheckOptions(request->options(), &problems);
  if (!problems.empty()) return Answer(context, problems.ToStatus());
  const absl::Status permitted = CheckRegistrar(*control_plane_->authorizer, *context, handler);
  if (!permitted.ok()) return Answer(context, permitted);
  *response->mutable_handler() = handler;
  return StartMutation(control_plane_, context,
                       {"RegisterHandler",
                        request,
                        {ResourceId::Handler(handler.name())},
                        request->options(),
                        [handler](Transaction& transaction) {
                          return AtField("handler", transaction.PutHandler(handler));
                        },
                        [response](const State& state, const v1::MutationResult& result) {
                          FillInStored(state, response->mutable_handler());
                          *response->mutable_result() = result;
                        }});
}

RegistryService::Reactor* RegistryService::GetHandler(Context* context,
                                                      const v1::GetHandlerRequest* request,
                                                      v1::GetHandlerResponse* response) {
  absl::Status valid = ValidateName("name", request->name());
  if (valid.ok()) {
    valid = control_plane_->authorizer->CheckName(
        *context, "/sallyport.v1.HandlerRegistry/GetHandler", request->name());
  }
  if (!valid.ok()) return Answer(context, valid);
  const auto record = control_plane_->store->Read()->handlers.Find(request->name());
  if (record == nullptr) {
    return Answer(context, NoHandler(request->name()));
  }
  *response->mutable_handler() = record->value;
  response->set_revision(record->revision);
  return Answer(context, absl::OkStatus());
}

RegistryService::Reactor* RegistryService::ListHandlers(Context* context,
                                                        const v1::ListHandlersRequest*,
                                                        v1::ListHandlersResponse* response) {
  for (const auto& [name, record] : control_plane_->store->Read()->handlers.Sorted()) {
    *response->add_handlers() = record->value;
  }
  return Answer(context, absl::OkStatus());
}

RegistryService::Reactor* RegistryService::RemoveHandler(Context* context,
                                                         const v1::RemoveHandlerRequest* request,
                                                         v1::MutationResult* response) {
  Problems problems;
  problems.Add(ValidateName("name", request->name()));
  CheckOptions(request->options(), &problems);
  if (!problems.empty()) return Answer(context, problems.ToStatus());
  const absl::Status permitted = control_plane_->authorizer->CheckName(
      *context, "/sallyport.v1.HandlerRegistry/RemoveHandler", request->name());
  if (!permitted.ok()) return Answer(context, permitted);
  return StartMutation(
      control_plane_, context,
      {"RemoveHandler",
       request,
       {ResourceId::Handler(request->name())},
       request->options(),
       [request](Transaction& transaction) {
         transaction.DeleteHandler(request->name());
         return absl::OkStatus();
       },
       [response](const State&, const v1::MutationResult& result) { *response = result; }});
}

RegistryService::Reactor* RegistryService::RevokeLeases(Context* context,
                                                        const v1::RevokeLeasesRequest* request,
                                                        v1::RevokeLeasesResponse* response) {
  Problems problems;
  problems.Add(ValidateName("name", request->name()));
  CheckOptions(request->options(), &problems);
  if (!problems.empty()) return Answer(context, problems.ToStatus());
  const absl::Status permitted = control_plane_->authorizer->CheckName(
      *context, "/sallyport.v1.HandlerRegistry/RevokeLeases", request->name());
  if (!permitted.ok()) return Answer(context, permitted);
  return StartMutation(
      control_plane_, context,
      {"RevokeLeases",
       request,
       {ResourceId::Handler(request->name())},
       request->options(),
       [request](Transaction& transaction) { return transaction.RevokeLeases(request->name()); },
       [request, response](const State& state, const v1::MutationResult& result) {
         response->set_lease_epoch(LeaseEpochOf(state, request->name()));
         *response->mutable_result() = result;
       }});
}

RegistryService::Reactor* RegistryService::GetIdentityKeys(Context* context,
                                                           const v1::GetIdentityKeysRequest*,
                                                           v1::GetIdentityKeysResponse* response) {
  response->set_jwks(
      IdentityJwks(*control_plane_->store->Read(), std::chrono::system_clock::now()));
  return Answer(context, absl::OkStatus());
}

}  // namespace sallyport
