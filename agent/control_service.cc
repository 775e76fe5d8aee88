#include "agent/control_service.h"

namespace sallyport::agent {
namespace {

// Both have the same codes.
grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

}  // namespace

grpc::Status ControlService::Attach(grpc::ServerContext*, const v1::AttachRequest* request,
                                    v1::AttachResponse* response) {
  absl::StatusOr<v1::AttachResponse> attached = containers_->Attach(*request);
  if (attached.ok()) *response = *std::move(attached);
  return ToGrpc(attached.status());
}

grpc::Status ControlService::Detach(grpc::ServerContext*, const v1::DetachRequest* request,
                                    v1::DetachResponse*) {
  return ToGrpc(containers_->Detach(request->container_id()));
}

grpc::Status ControlService::ListAttached(grpc::ServerContext*, const v1::ListAttachedRequest*,
                                          v1::ListAttachedResponse* response) {
  for (v1::ListAttachedResponse::Container& container : containers_->List()) {
    *response->add_containers() = std::move(container);
  }
  return grpc::Status::OK;
}

grpc::Status ControlService::Status(grpc::ServerContext*, const v1::StatusRequest*,
                                    v1::StatusResponse* response) {
  const SyncClient::State sync = sync_->state();
  const ProxySupervisor::State proxy = supervisor_->state();
  response->set_host_name(names_.host);
  response->set_control_plane(names_.control_plane);
  response->set_control_plane_connected(sync.connected);
  response->set_control_plane_error(sync.error);
  response->set_proxy_pid(proxy.pid);
  response->set_proxy_restarts(proxy.restarts);
  response->set_enforced_revision(cache_->revision());
  return grpc::Status::OK;
}

}  // namespace sallyport::agent
