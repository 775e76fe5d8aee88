#include "agent/control_service.h"

#include <chrono>
#include <utility>

#include "agent/attach/explicit_proxy.h"
#include "common/base/status.h"

namespace sallyport::agent {
namespace {

constexpr std::chrono::milliseconds kDefaultWait{5'000};
// For a new proxy to serve.
constexpr std::chrono::seconds kRestartTime{20};
constexpr int64_t kLongestWaitSeconds = 600;

// gRPC's codes are Abseil's.
grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return {static_cast<grpc::StatusCode>(status.code()), std::string(status.message())};
}

absl::StatusOr<std::chrono::milliseconds> WaitOf(const v1::AttachRequest& request) {
  if (!request.has_wait()) return kDefaultWait;
  const auto& wait = request.wait();
  if (wait.seconds() < 0 || wait.nanos() < 0 || wait.seconds() > kLongestWaitSeconds) {
    return absl::InvalidArgumentError("wait: must be between 0 and 10 minutes");
  }
  return std::chrono::milliseconds(wait.seconds() * 1000 + wait.nanos() / 1'000'000);
}

absl::StatusOr<AttachOrder> OrderOf(const v1::AttachRequest& request) {
  AttachOrder order;
  order.container_id = request.container_id();
  order.class_name = request.class_name();
  order.audit_path = request.audit_path();
  order.ephemeral = request.ephemeral();
  order.routed = request.routed();
  order.params = request.params();
  ASSIGN_OR_RETURN(order.wait, WaitOf(request));
  if (request.has_explicit_proxy()) {
    const std::string& listen = request.explicit_proxy().listen();
    order.proxy_address = listen.empty() ? kDefaultProxyAddress : listen;
    if (request.has_netns_path()) {
      return absl::InvalidArgumentError(
          "explicit_proxy: is for containers without a namespace; leave netns_path away");
    }
    if (order.routed) {
      return absl::InvalidArgumentError(
          "routed: is for containers with a namespace; leave explicit_proxy or routed away");
    }
    order.where = pid_t{request.pid()};
    return order;
  }
  switch (request.namespace_case()) {
    case v1::AttachRequest::kPid:
      order.where = pid_t{request.pid()};
      return order;
    case v1::AttachRequest::kNetnsPath:
      order.where = request.netns_path();
      return order;
    case v1::AttachRequest::NAMESPACE_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("namespace: name a process (pid) or a path (netns_path)");
}

}  // namespace

grpc::Status ControlService::Attach(grpc::ServerContext*, const v1::AttachRequest* request,
                                    v1::AttachResponse* response) {
  const absl::StatusOr<AttachOrder> order = OrderOf(*request);
  if (!order.ok()) return ToGrpc(order.status());
  absl::StatusOr<AttachOutcome> outcome = parts_.containers->Attach(*order);
  if (!outcome.ok()) return ToGrpc(outcome.status());
  const Enforcement& enforcement = outcome->enforcement;
  response->set_ca_certificate_pem(outcome->ca_certificate_pem);
  response->set_policy_enforced(enforcement.kind == Enforcement::Kind::kEnforced);
  response->set_pending(enforcement.reason);
  response->set_revision(enforcement.revision);
  response->set_explicit_proxy_url(outcome->proxy_url);
  return grpc::Status::OK;
}

grpc::Status ControlService::Detach(grpc::ServerContext*, const v1::DetachRequest* request,
                                    v1::DetachResponse*) {
  return ToGrpc(request->only_if_ended() ? parts_.containers->AwaitDetached(request->container_id())
                                         : parts_.containers->Detach(request->container_id()));
}

grpc::Status ControlService::ListAttached(grpc::ServerContext*, const v1::ListAttachedRequest*,
                                          v1::ListAttachedResponse* response) {
  for (const Containers::Listed& one : parts_.containers->List()) {
    v1::ListAttachedResponse::Container* const container = response->add_containers();
    container->set_container_id(one.container_id);
    container->set_class_name(one.class_name);
    container->set_pid(one.pid);
    container->set_explicit_proxy(one.proxy_address);
    container->set_enforced_revision(one.enforced_revision);
  }
  return grpc::Status::OK;
}

grpc::Status ControlService::Status(grpc::ServerContext*, const v1::StatusRequest*,
                                    v1::StatusResponse* response) {
  const SyncClient::State sync = parts_.sync->state();
  const ProxySupervisor::State proxy = parts_.supervisor->state();
  response->set_host_name(parts_.host_name);
  response->set_control_plane_connected(sync.connected);
  response->set_control_plane(parts_.control_plane);
  response->set_control_plane_error(sync.error);
  if (!sync.connected) {
    response->mutable_control_plane_lost()->set_seconds(
        std::chrono::system_clock::to_time_t(sync.lost));
  }
  response->set_proxy_pid(proxy.pid);
  response->set_draining_proxies(static_cast<int32_t>(proxy.draining));
  response->set_proxy_restarts(proxy.restarts);
  response->set_enforced_revision(parts_.cache->revision());
  return grpc::Status::OK;
}

grpc::Status ControlService::RestartProxy(grpc::ServerContext*, const v1::RestartProxyRequest*,
                                          v1::RestartProxyResponse* response) {
  const absl::StatusOr<pid_t> pid =
      parts_.supervisor->Restart(std::chrono::steady_clock::now() + kRestartTime);
  if (!pid.ok()) return ToGrpc(pid.status());
  response->set_proxy_pid(*pid);
  return grpc::Status::OK;
}

grpc::Status ControlService::Usage(grpc::ServerContext*, const v1::UsageRequest*,
                                   v1::UsageResponse* response) {
  absl::StatusOr<v1::UsageResponse> usage = parts_.supervisor->Usage();
  if (!usage.ok()) return ToGrpc(usage.status());
  *response = *std::move(usage);
  return grpc::Status::OK;
}

}  // namespace sallyport::agent
