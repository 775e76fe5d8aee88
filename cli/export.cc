#include "cli/export.h"

#include <algorithm>
#include <memory>
#include <set>

#include "proto/sallyport/v1/admin.grpc.pb.h"
#include "proto/sallyport/v1/registry.grpc.pb.h"

namespace sallyport::cli {
namespace {

using Policy = v1::OutboundPolicy::Stub;

constexpr std::chrono::seconds kCallTime{60};

grpc::Status GetClasses(Policy* stub, const std::string& name, v1::ApplyPolicyRequest* policy) {
  if (!name.empty()) {
    v1::GetClassRequest request;
    request.set_name(name);
    v1::GetClassResponse response;
    const grpc::Status status = stub->GetClass(ContextFor(kCallTime).get(), request, &response);
    if (status.ok()) *policy->add_classes() = response.class_();
    return status;
  }
  v1::ListClassesResponse response;
  const grpc::Status status =
      stub->ListClasses(ContextFor(kCallTime).get(), v1::ListClassesRequest(), &response);
  policy->mutable_classes()->Swap(response.mutable_classes());
  return status;
}

grpc::Status GetContainers(Policy* stub, const std::string& class_name,
                           v1::ApplyPolicyRequest* policy) {
  v1::ListContainersRequest request;
  request.set_class_name(class_name);
  request.set_page_size(1000);
  while (true) {
    v1::ListContainersResponse response;
    const grpc::Status status =
        stub->ListContainers(ContextFor(kCallTime).get(), request, &response);
    // A page of containers with long lists may be more than a message holds.
    if (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED && request.page_size() > 1) {
      request.set_page_size(request.page_size() / 2);
      continue;
    }
    if (!status.ok()) return status;
    for (v1::ContainerStatus& container : *response.mutable_containers())
      policy->add_containers()->Swap(container.mutable_policy());
    if (response.next_page_token().empty()) return grpc::Status::OK;
    request.set_page_token(response.next_page_token());
  }
}

grpc::Status GetContainer(Policy* stub, const std::string& id, v1::ApplyPolicyRequest* policy) {
  v1::GetContainerRequest request;
  request.set_container_id(id);
  v1::GetContainerResponse response;
  const grpc::Status status = stub->GetContainer(ContextFor(kCallTime).get(), request, &response);
  if (status.ok()) *policy->add_containers() = response.container().policy();
  return status;
}

grpc::Status GetPolicy(Policy* stub, const ExportFilter& filter, v1::ApplyPolicyRequest* policy) {
  if (filter.container_id.empty()) {
    const grpc::Status status = GetClasses(stub, filter.class_name, policy);
    return status.ok() ? GetContainers(stub, filter.class_name, policy) : status;
  }
  const grpc::Status status = GetContainer(stub, filter.container_id, policy);
  return status.ok() ? GetClasses(stub, policy->containers(0).class_name(), policy) : status;
}

template <typename Part>
void NoteHandlers(const Part& part, std::set<std::string>* names) {
  for (const v1::HostRule& rule : part.outbound_by_host()) names->insert(rule.handler().handler());
  if (part.has_outbound()) names->insert(part.outbound().handler());
}

// Those that the policy's rules name, and those that rules of its containers may name later.
std::set<std::string> HandlersOf(const v1::ApplyPolicyRequest& policy) {
  std::set<std::string> names;
  for (const v1::ContainerClass& value : policy.classes()) {
    NoteHandlers(value, &names);
    names.insert(value.outbound_handlers().names().begin(),
                 value.outbound_handlers().names().end());
  }
  for (const v1::ContainerPolicy& container : policy.containers()) {
    NoteHandlers(container, &names);
    for (const v1::InterceptRule& rule : container.intercepts())
      names.insert(rule.handler().handler());
  }
  return names;
}

template <typename Parts, typename NameOf>
void SortByName(Parts* parts, NameOf name_of) {
  std::sort(parts->begin(), parts->end(),
            [&](const auto& a, const auto& b) { return name_of(a) < name_of(b); });
}

}  // namespace

int Export(const Connection& connection, const ExportFilter& filter,
           v1::ApplyPolicyRequest* policy) {
  const auto stub = v1::OutboundPolicy::NewStub(connection.channel());
  grpc::Status status = GetPolicy(stub.get(), filter, policy);
  if (!status.ok()) return connection.Report(status);
  v1::ListHandlersResponse handlers;
  status = v1::HandlerRegistry::NewStub(connection.channel())
               ->ListHandlers(ContextFor(kCallTime).get(), v1::ListHandlersRequest(), &handlers);
  if (!status.ok()) return connection.Report(status);
  const bool everything = filter.class_name.empty() && filter.container_id.empty();
  const std::set<std::string> named = HandlersOf(*policy);
  for (v1::Handler& handler : *handlers.mutable_handlers()) {
    if (everything || named.contains(handler.name())) policy->add_handlers()->Swap(&handler);
  }
  SortByName(policy->mutable_handlers(), [](const v1::Handler& value) { return value.name(); });
  SortByName(policy->mutable_classes(),
             [](const v1::ContainerClass& value) { return value.name(); });
  SortByName(policy->mutable_containers(),
             [](const v1::ContainerPolicy& value) { return value.container_id(); });
  return kDone;
}

}  // namespace sallyport::cli
