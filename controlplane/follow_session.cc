#include "controlplane/follow_session.h"

#include "common/base/status.h"
#include "controlplane/attachments.h"
#include "controlplane/rpc_status.h"
#include "controlplane/store/transaction.h"

namespace sallyport {
namespace {

constexpr AuditQueue::Limits kQueue{.items = 8192, .bytes = 4 << 20};

absl::Status CheckFilter(const State& state, const v1::AuditFilter& filter) {
  if (!filter.container_id().empty() && state.containers.Find(filter.container_id()) == nullptr)
    return NoContainer(filter.container_id());
  return filter.class_name().empty() ? absl::OkStatus()
                                     : CheckClassExists(state, filter.class_name());
}

}  // namespace

FollowSession::FollowSession(const ControlPlane* control_plane, AuditStreams* streams,
                             std::shared_ptr<const grpc::AuthContext> connection,
                             v1::AuditFilter filter)
    : control_plane_(control_plane),
      streams_(streams),
      connection_(std::move(connection)),
      filter_(std::move(filter)),
      queue_(kQueue) {}

FollowSession* FollowSession::Start(const ControlPlane* control_plane, AuditStreams* streams,
                                    std::shared_ptr<const grpc::AuthContext> connection,
                                    const v1::AuditFilter& filter) {
  auto session =
      std::make_shared<FollowSession>(control_plane, streams, std::move(connection), filter);
  {
    MutexLock lock(&session->mutex_);
    session->self_ = session;
  }
  if (const absl::Status status = session->Begin(); !status.ok()) session->End(ToGrpc(status));
  return session.get();
}

absl::Status FollowSession::Begin() {
  RETURN_IF_ERROR(CheckFilter(*control_plane_->store->Read(), filter_));
  ASSIGN_OR_RETURN(const uint64_t wanted, streams_->Add(shared_from_this()));
  MutexLock lock(&mutex_);
  wanted_ = wanted;
  Pump();
  return absl::OkStatus();
}

uint64_t FollowSession::Offer(AuditQueue::Item item, size_t bytes) {
  if (!Concerns(*item)) return 0;
  MutexLock lock(&mutex_);
  if (ended_) return 0;
  const uint64_t missed = queue_.Push(std::move(item), bytes);
  Pump();
  return missed;
}

bool FollowSession::Concerns(const v1::FollowResponse& item) const {
  if (!item.has_gap() || filter_.container_id().empty()) return true;
  const auto placed = control_plane_->store->Read()->placements.Find(filter_.container_id());
  return placed != nullptr && *placed == item.gap().host();
}

void FollowSession::Poke() {
  MutexLock lock(&mutex_);
  Pump();
}

void FollowSession::Pump() {
  if (ended_ || writing_ != nullptr) return;
  writing_ = Next();
  if (writing_ != nullptr) StartWrite(writing_.get());
}

AuditQueue::Item FollowSession::Next() {
  if (!ready_ && wanted_ != 0) {
    if (AuditQueue::Item ready = Ready(); ready != nullptr) {
      ready_ = true;
      return ready;
    }
  }
  return queue_.Pop();
}

AuditQueue::Item FollowSession::Ready() const {
  std::set<std::string> silent;
  if (!streams_->IsReady(wanted_, Hosts(), &silent)) return nullptr;
  const auto response = std::make_shared<v1::FollowResponse>();
  response->mutable_ready()->mutable_silent()->Add(silent.begin(), silent.end());
  return response;
}

std::set<std::string> FollowSession::Hosts() const {
  const std::shared_ptr<const State> state = control_plane_->store->Read();
  std::set<std::string> hosts;
  const auto add = [&](const std::string& host) {
    if (control_plane_->hub->IsLive(host)) hosts.insert(host);
  };
  if (filter_.container_id().empty()) {
    state->hosts.ForEach([&](const std::string& host, const auto&) { add(host); });
  } else if (const auto placed = state->placements.Find(filter_.container_id());
             placed != nullptr) {
    add(*placed);
  }
  return hosts;
}

void FollowSession::OnWriteDone(bool ok) {
  AuditQueue::Item written;  // Outlives the lock.
  MutexLock lock(&mutex_);
  written = std::exchange(writing_, nullptr);
  if (ok) Pump();
}

void FollowSession::Stop() {
  End(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the control plane stops; follow again"));
}

void FollowSession::Recheck() {
  const absl::StatusOr<Caller> caller =
      control_plane_->authorizer->authenticator().WhoIs(*connection_);
  if (!caller.ok()) End(ToGrpc(caller.status()));
}

void FollowSession::OnCancel() {
  End(grpc::Status(grpc::StatusCode::CANCELLED, "the follower went away"));
}

void FollowSession::End(const grpc::Status& status) {
  MutexLock lock(&mutex_);
  if (std::exchange(ended_, true)) return;
  Finish(status);
}

void FollowSession::OnDone() {
  streams_->Remove(this);
  std::shared_ptr<FollowSession> self;  // Outlives the lock.
  MutexLock lock(&mutex_);
  self = std::move(self_);
}

}  // namespace sallyport
