#include "cli/apply.h"

#include <memory>

#include "common/base/strings.h"
#include "proto/sallyport/v1/admin.grpc.pb.h"
#include "proto/sallyport/v1/registry.grpc.pb.h"

namespace sallyport::cli {
namespace {

constexpr std::chrono::seconds kCallTime{70};

using Policy = v1::OutboundPolicy::Stub;

// Sets everything that the file says of one container. OK or the first error.
grpc::Status ApplyContainer(Policy* stub, const v1::ContainerPolicy& container,
                            const v1::MutationOptions& options, v1::MutationResult* result) {
  v1::CreateContainerRequest create;
  create.set_container_id(container.container_id());
  create.set_class_name(container.class_name());
  v1::CreateContainerResponse created;
  grpc::Status status = stub->CreateContainer(ContextFor(kCallTime).get(), create, &created);
  if (!status.ok()) return status;
  result->set_revision(created.revision());
  result->set_enforcement(v1::MutationResult::NOT_ATTACHED);

  const auto lists = {std::pair(&container.allowed_hosts(), &Policy::SetAllowedHosts),
                      std::pair(&container.denied_hosts(), &Policy::SetDeniedHosts)};
  for (const auto& [list, method] : lists) {
    if (!list->has_replace()) continue;
    v1::HostsRequest request;
    request.set_container_id(container.container_id());
    *request.mutable_hosts() = list->replace().hosts();
    *request.mutable_options() = options;
    status = (stub->*method)(ContextFor(kCallTime).get(), request, result);
    if (!status.ok()) return status;
  }
  v1::SetOutboundByHostsRequest rules;
  rules.set_container_id(container.container_id());
  *rules.mutable_rules() = container.outbound_by_host();
  *rules.mutable_options() = options;
  status = stub->SetOutboundByHosts(ContextFor(kCallTime).get(), rules, result);
  if (!status.ok()) return status;
  if (container.has_outbound()) {
    v1::SetOutboundHandlerRequest request;
    request.set_container_id(container.container_id());
    request.set_handler(container.outbound().handler());
    *request.mutable_params() = container.outbound().params();
    *request.mutable_options() = options;
    status = stub->SetOutboundHandler(ContextFor(kCallTime).get(), request, result);
    if (!status.ok()) return status;
  }
  if (container.has_enable_internet()) {
    v1::SetEnableInternetRequest request;
    request.set_container_id(container.container_id());
    request.set_enable_internet(container.enable_internet());
    *request.mutable_options() = options;
    status = stub->SetEnableInternet(ContextFor(kCallTime).get(), request, result);
  }
  return status;
}

}  // namespace

int ApplyPolicyFile(
    const Connection& connection, const PolicyFile& file, const v1::MutationOptions& options,
    const std::function<void(const std::string& what, const v1::MutationResult& result)>& done) {
  const auto registry = v1::HandlerRegistry::NewStub(connection.channel());
  for (const v1::Handler& handler : file.handlers) {
    v1::RegisterHandlerRequest request;
    *request.mutable_handler() = handler;
    *request.mutable_options() = options;
    v1::RegisterHandlerResponse response;
    const grpc::Status status =
        registry->RegisterHandler(ContextFor(kCallTime).get(), request, &response);
    if (!status.ok()) return connection.Report(status);
    done(StrCat("handler ", handler.name()), response.result());
  }
  const auto policy = v1::OutboundPolicy::NewStub(connection.channel());
  for (const v1::ContainerClass& value : file.classes) {
    v1::ApplyClassRequest request;
    *request.mutable_class_() = value;
    *request.mutable_options() = options;
    v1::ApplyClassResponse response;
    const grpc::Status status = policy->ApplyClass(ContextFor(kCallTime).get(), request, &response);
    if (!status.ok()) return connection.Report(status);
    for (const std::string& warning : response.warnings())
      std::fprintf(stderr, "warning: %s\n", warning.c_str());
    done(StrCat("class ", value.name()), response.result());
  }
  for (const v1::ContainerPolicy& container : file.containers) {
    v1::MutationResult result;
    const grpc::Status status = ApplyContainer(policy.get(), container, options, &result);
    if (!status.ok()) return connection.Report(status);
    done(StrCat("container ", container.container_id()), result);
  }
  return kDone;
}

}  // namespace sallyport::cli
