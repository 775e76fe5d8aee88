#include "controlplane/watch_session.h"

#include <optional>
#include <utility>

#include "common/base/status.h"
#include "common/policy/effective_policy.h"
#include "controlplane/rpc_status.h"
#include "controlplane/store/transaction.h"

namespace sallyport {
namespace {

absl::Status CheckContainer(const Store& store, const std::string& container_id) {
  if (container_id.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(ValidateContainerId(container_id));
  return store.Read()->containers.Find(container_id) == nullptr ? NoContainer(container_id)
                                                                : absl::OkStatus();
}

}  // namespace

WatchSession* WatchSession::Start(const ControlPlane* control_plane,
                                  std::shared_ptr<const grpc::AuthContext> connection,
                                  const std::string& container_id) {
  auto session = std::make_shared<WatchSession>(control_plane, std::move(connection), container_id);
  {
    MutexLock lock(&session->mutex_);
    session->self_ = session;
  }
  absl::Status status = CheckContainer(*control_plane->store, container_id);
  if (status.ok()) status = control_plane->watchers->Add(session);
  status.ok() ? session->Poke() : session->End(ToGrpc(status));
  return session.get();
}

void WatchSession::Poke() {
  MutexLock lock(&mutex_);
  Pump();
}

void WatchSession::Pump() {
  if (ended_ || writing_) return;
  std::optional<v1::WatchResponse> event = feed_.Next();
  if (!event.has_value()) return;
  written_ = *std::move(event);
  writing_ = true;
  StartWrite(&written_);
}

void WatchSession::OnWriteDone(bool ok) {
  MutexLock lock(&mutex_);
  writing_ = false;
  if (ok) Pump();
}

void WatchSession::Stop() {
  End(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the control plane stops; watch again"));
}

void WatchSession::Recheck() {
  const absl::StatusOr<Caller> caller = authorizer_->authenticator().WhoIs(*connection_);
  if (!caller.ok()) End(ToGrpc(caller.status()));
}

void WatchSession::OnCancel() {
  End(grpc::Status(grpc::StatusCode::CANCELLED, "the watcher went away"));
}

void WatchSession::End(const grpc::Status& status) {
  MutexLock lock(&mutex_);
  if (std::exchange(ended_, true)) return;
  Finish(status);
}

void WatchSession::OnDone() {
  hub_->Remove(this);
  std::shared_ptr<WatchSession> self;  // Outlives the lock.
  MutexLock lock(&mutex_);
  self = std::move(self_);
}

}  // namespace sallyport
