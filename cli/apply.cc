#include "cli/apply.h"

#include <chrono>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/strings.h"
#include "proto/sallyport/v1/admin.grpc.pb.h"
#include "proto/sallyport/v1/registry.grpc.pb.h"

namespace sallyport::cli {
namespace {

// The longest wait for enforcement there is, and some time to store.
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

// A call for each part, until the control plane takes them all in one.
int ApplyOneByOne(const Connection& connection, const PolicyFile& file,
                  const v1::MutationOptions& options, v1::ApplyPolicyResponse* response) {
  const auto changed = [&](v1::ResourceKind kind, const std::string& name) {
    v1::PolicyChange* change = response->add_changes();
    change->mutable_key()->set_kind(kind);
    change->mutable_key()->set_name(name);
    change->set_kind(v1::PolicyChange::UPDATED);
  };
  const auto registry = v1::HandlerRegistry::NewStub(connection.channel());
  for (const auto& [handler, path, marks] : file.handlers) {
    v1::RegisterHandlerRequest request;
    *request.mutable_handler() = handler;
    *request.mutable_options() = options;
    v1::RegisterHandlerResponse registered;
    const grpc::Status status =
        registry->RegisterHandler(ContextFor(kCallTime).get(), request, &registered);
    if (!status.ok()) return connection.Report(status);
    changed(v1::RESOURCE_KIND_HANDLER, handler.name());
    *response->mutable_result() = registered.result();
  }
  const auto policy = v1::OutboundPolicy::NewStub(connection.channel());
  for (const auto& [value, path, marks] : file.classes) {
    v1::ApplyClassRequest request;
    *request.mutable_class_() = value;
    *request.mutable_options() = options;
    v1::ApplyClassResponse applied;
    const grpc::Status status = policy->ApplyClass(ContextFor(kCallTime).get(), request, &applied);
    if (!status.ok()) return connection.Report(status);
    response->mutable_warnings()->MergeFrom(applied.warnings());
    changed(v1::RESOURCE_KIND_CLASS, value.name());
    *response->mutable_result() = applied.result();
  }
  for (const auto& [container, path, marks] : file.containers) {
    const grpc::Status status =
        ApplyContainer(policy.get(), container, options, response->mutable_result());
    if (!status.ok()) return connection.Report(status);
    changed(v1::RESOURCE_KIND_CONTAINER, container.container_id());
  }
  return kDone;
}

v1::ApplyPolicyRequest ToRequest(const PolicyFile& file) {
  v1::ApplyPolicyRequest request;
  for (const auto& handler : file.handlers) *request.add_handlers() = handler.value;
  for (const auto& value : file.classes) *request.add_classes() = value.value;
  for (const auto& container : file.containers) *request.add_containers() = container.value;
  return request;
}

// "FILE:LINE:COLUMN: " of "classes[0].outbound", if `kind` is "classes" and there is one.
template <typename T>
std::string Place(std::string_view path, std::string_view kind,
                  const std::vector<Written<T>>& parts) {
  const size_t close = path.find(']');
  if (!path.starts_with(StrCat(kind, "[")) || close == std::string_view::npos) return "";
  size_t index = 0;
  const std::string_view digits = path.substr(kind.size() + 1, close - kind.size() - 1);
  if (!absl::SimpleAtoi(ToAbsl(digits), &index) || index >= parts.size()) return "";
  const std::string_view rest = path.substr(close + 1);
  const yaml::Mark mark = parts[index].marks.Find(rest.starts_with('.') ? rest.substr(1) : rest);
  return StrCat(parts[index].file, ":", mark.line, ":", mark.column, ": ");
}

}  // namespace

std::string WithPlaces(const PolicyFile& file, std::string_view message) {
  std::vector<std::string> lines;
  for (const absl::string_view line : absl::StrSplit(ToAbsl(message), '\n')) {
    const std::string_view path = ToStd(line.substr(0, line.find(": ")));
    lines.push_back(StrCat(Place(path, "handlers", file.handlers),
                           Place(path, "classes", file.classes),
                           Place(path, "containers", file.containers), ToStd(line)));
  }
  return absl::StrJoin(lines, "\n");
}

int ApplyPolicyFile(const Connection& connection, const PolicyFile& file, ApplyMode mode,
                    const v1::MutationOptions& options, v1::ApplyPolicyResponse* response) {
  if (mode == ApplyMode::kApply) return ApplyOneByOne(connection, file, options, response);
  v1::ApplyPolicyRequest request = ToRequest(file);
  request.set_dry_run(mode == ApplyMode::kDryRun);
  *request.mutable_options() = options;
  const auto stub = v1::OutboundPolicy::NewStub(connection.channel());
  const grpc::Status status = stub->ApplyPolicy(ContextFor(kCallTime).get(), request, response);
  if (status.ok()) return kDone;
  return connection.Report(
      grpc::Status(status.error_code(), WithPlaces(file, status.error_message())));
}

}  // namespace sallyport::cli
