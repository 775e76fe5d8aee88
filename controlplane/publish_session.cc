#include "controlplane/publish_session.h"

#include "common/base/status.h"
#include "controlplane/rpc_status.h"

namespace sallyport {
namespace {

constexpr char kMethod[] = "/sallyport.v1.AuditStream/Publish";
// How long after a container was seen attached its records are taken.
constexpr std::chrono::seconds kGrace{30};
constexpr size_t kMaxHostName = 253;

}  // namespace

PublishSession* PublishSession::Start(const ControlPlane* control_plane, AuditStreams* streams,
                                      std::shared_ptr<const grpc::AuthContext> connection) {
  auto session = std::make_shared<PublishSession>(control_plane, streams, std::move(connection));
  MutexLock lock(&session->mutex_);
  session->self_ = session;
  session->StartRead(&session->read_);
  return session.get();
}

void PublishSession::Poke() {
  MutexLock lock(&mutex_);
  Pump();
}

void PublishSession::Replace() {
  End(grpc::Status(
      grpc::StatusCode::ABORTED,
      "another agent has connected with the same host name; host names must be unique"));
}

void PublishSession::Stop(const std::string& why) {
  End(grpc::Status(grpc::StatusCode::UNAVAILABLE, why));
}

void PublishSession::Recheck() {
  const absl::StatusOr<Caller> caller =
      control_plane_->authorizer->authenticator().WhoIs(*connection_);
  if (!caller.ok()) End(ToGrpc(caller.status()));
}

absl::Status PublishSession::Greet(const std::string& host) {
  if (host.empty() || host.size() > kMaxHostName)
    return absl::InvalidArgumentError("the first message of a stream is the host's name");
  const Authorizer& authorizer = *control_plane_->authorizer;
  ASSIGN_OR_RETURN(const Caller caller, authorizer.authenticator().WhoIs(*connection_));
  RETURN_IF_ERROR(authorizer.CheckName(caller, kMethod, host));
  {
    MutexLock lock(&mutex_);
    if (ended_) return absl::CancelledError();
    host_ = host;
  }
  streams_->Claim(host, shared_from_this());
  bool gone = false;
  {
    MutexLock lock(&mutex_);
    gone = done_;
    Pump();
  }
  // OnDone may have come before the claim.
  if (gone) streams_->Release(host, this);
  return absl::OkStatus();
}

void PublishSession::OnReadDone(bool ok) {
  if (!ok) return End(grpc::Status::OK);
  if (const absl::Status status = Take(&read_); !status.ok()) return End(ToGrpc(status));
  read_.Clear();
  MutexLock lock(&mutex_);
  if (!ended_) StartRead(&read_);
}

absl::Status PublishSession::Take(v1::PublishRequest* request) {
  std::string host;
  {
    MutexLock lock(&mutex_);
    if (ended_) return absl::CancelledError();
    host = host_;
  }
  if (host.empty()) return Greet(request->host_name());
  switch (request->message_case()) {
    case v1::PublishRequest::kFollowing:
      streams_->NoteFollowing(host, request->following());
      break;
    case v1::PublishRequest::kEntries:
      streams_->Append(host, std::move(*request->mutable_entries()),
                       [&](const std::string& id) { return MaySpeakFor(host, id); });
      ForgetDetached();
      break;
    case v1::PublishRequest::kHostName:
      return absl::InvalidArgumentError("a stream is of one host");
    case v1::PublishRequest::MESSAGE_NOT_SET:
      break;  // Of a newer version.
  }
  return absl::OkStatus();
}

bool PublishSession::MaySpeakFor(const std::string& host, const std::string& container_id) {
  const auto placed = control_plane_->store->Read()->placements.Find(container_id);
  if (placed == nullptr || *placed != host) return seen_attached_.contains(container_id);
  seen_attached_[container_id] = Clock::now();
  return true;
}

void PublishSession::ForgetDetached() {
  const Clock::time_point now = Clock::now();
  std::erase_if(seen_attached_, [&](const auto& one) { return now - one.second > kGrace; });
}

void PublishSession::Pump() {
  if (ended_ || writing_ || host_.empty() || said_ == streams_->wanted_number()) return;
  written_ = streams_->Wanted();
  said_ = written_.number();
  writing_ = true;
  StartWrite(&written_);
}

void PublishSession::OnWriteDone(bool ok) {
  MutexLock lock(&mutex_);
  writing_ = false;
  if (ok) Pump();
}

void PublishSession::OnCancel() {
  End(grpc::Status(grpc::StatusCode::CANCELLED, "the agent went away"));
}

void PublishSession::End(const grpc::Status& status) {
  MutexLock lock(&mutex_);
  if (std::exchange(ended_, true)) return;
  Finish(status);
}

void PublishSession::OnDone() {
  std::shared_ptr<PublishSession> self;  // Outlives the lock.
  std::string host;
  {
    MutexLock lock(&mutex_);
    done_ = true;
    self = std::move(self_);
    host = host_;
  }
  if (!host.empty()) streams_->Release(host, this);
}

}  // namespace sallyport
