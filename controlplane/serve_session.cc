#include "controlplane/serve_session.h"

#include <grpc/grpc.h>

#include <chrono>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/policy/duration.h"
#include "common/policy/effective_policy.h"
#include "common/policy/handler_endpoint.h"
#include "common/policy/problems.h"
#include "common/policy/validate.h"
#include "controlplane/concern.h"
#include "controlplane/mutation_result.h"
#include "controlplane/rpc_status.h"

namespace sallyport {
namespace {

using std::chrono::milliseconds;

constexpr int64_t kDefaultGraceMs = 10'000;
constexpr int64_t kMaxGraceMs = 10 * 60 * 1000;
// As other changes wait by default.
constexpr std::chrono::seconds kWait(5);

absl::StatusOr<milliseconds> GraceOf(const v1::ServeHandlerRequest::Start& start) {
  if (!start.has_grace_period()) return milliseconds(kDefaultGraceMs);
  ASSIGN_OR_RETURN(const int64_t ms, ParseMilliseconds(start.grace_period(), 0, kMaxGraceMs));
  return milliseconds(ms);
}

// Says of the store's errors which field of Start they are about.
absl::Status AtStart(const absl::Status& status) {
  return absl::IsInvalidArgument(status) ? AtField("endpoint", status) : status;
}

}  // namespace

ServeSession* ServeSession::Start(const ControlPlane* control_plane,
                                  grpc::CallbackServerContext* context) {
  auto session = std::make_shared<ServeSession>(control_plane, context);
  {
    MutexLock lock(&session->mutex_);
    session->self_ = session;
  }
  session->StartRead(&session->read_);
  // gRPC runs no reaction before it has what this returns.
  return session.get();
}

void ServeSession::OnReadDone(bool ok) {
  if (!ok) {
    // Of a stream that broke off OnCancel tells.
    if (grpc_call_failed_before_recv_message(context_->c_call()) == 0) {
      End(absl::OkStatus(), Leaving::kInOrder);
    }
    return;
  }
  const absl::Status taken = Take(read_);
  if (!taken.ok()) return End(taken, Leaving::kInOrder);
  MutexLock lock(&mutex_);
  if (!ended_) StartRead(&read_);
}

absl::Status ServeSession::Take(const v1::ServeHandlerRequest& message) {
  bool started = false;
  {
    MutexLock lock(&mutex_);
    started = key_.has_value();
  }
  switch (message.message_case()) {
    case v1::ServeHandlerRequest::kStart:
      if (!started) return TakeStart(message.start());
      break;
    case v1::ServeHandlerRequest::kDrain:
      if (started && !std::exchange(draining_, true)) return TakeDrain();
      break;
    case v1::ServeHandlerRequest::MESSAGE_NOT_SET:
      return absl::OkStatus();  // A newer service's.
  }
  return absl::InvalidArgumentError("a stream is one start, then at most one drain");
}

absl::Status ServeSession::TakeStart(const v1::ServeHandlerRequest::Start& start) {
  Problems problems;
  problems.Add(ValidateName("name", start.name()));
  const absl::StatusOr<HandlerEndpoint> endpoint = HandlerEndpoint::Parse(start.endpoint());
  problems.Add(AtField("endpoint", endpoint.status()));
  const absl::StatusOr<milliseconds> grace = GraceOf(start);
  problems.Add(AtField("grace_period", grace.status()));
  if (!problems.empty()) return problems.ToStatus();
  const Authorizer& authorizer = *control_plane_->authorizer;
  ASSIGN_OR_RETURN(const Caller caller, authorizer.authenticator().WhoIs(*connection_));
  RETURN_IF_ERROR(
      authorizer.CheckName(caller, "/sallyport.v1.HandlerRegistry/ServeHandler", start.name()));
  const LiveEndpoints::Key key{start.name(), endpoint->text};
  {
    MutexLock lock(&mutex_);
    if (ended_) return absl::CancelledError("the service went away");
    key_ = key;
  }
  const auto self = shared_from_this();
  RETURN_IF_ERROR(control_plane_->live->Join(key, self, *grace, [self](const auto& written) {
    self->Stored(written, Answer::kRegistered);
  }));
  // An end that came in between has not found the endpoint.
  MutexLock lock(&mutex_);
  if (ended_) {
    control_plane_->live->Leave(key, this, Leaving::kBrokenOff, [] {});
  }
  return absl::OkStatus();
}

absl::Status ServeSession::TakeDrain() {
  LiveEndpoints::Key key;
  {
    MutexLock lock(&mutex_);
    key = *key_;
  }
  return control_plane_->live->Drain(key, this, [self = shared_from_this()](const auto& written) {
    self->Stored(written, Answer::kDrained);
  });
}

void ServeSession::Stored(const Store::Written& written, Answer answer) {
  if (!written.ok()) return End(AtStart(written.status()), Leaving::kBrokenOff);
  std::string name;
  {
    MutexLock lock(&mutex_);
    if (ended_) return;
    name = key_->handler;
  }
  const ResourceId handler = ResourceId::Handler(name);
  const uint64_t revision = StoredRevision(**written, handler);
  control_plane_->waiters->Wait(
      {{handler, revision}}, LiveEndpoints::Clock::now() + kWait,
      [self = shared_from_this(), revision, answer](const Waiters::Outcome& outcome) {
        v1::ServeHandlerResponse response;
        auto* const result = answer == Answer::kRegistered
                                 ? response.mutable_registered()->mutable_result()
                                 : response.mutable_drained()->mutable_result();
        *result = ToResult(revision, outcome);
        self->Write(std::move(response));
      });
}

void ServeSession::Write(v1::ServeHandlerResponse response) {
  MutexLock lock(&mutex_);
  answers_.push_back(std::move(response));
  Pump();
}

void ServeSession::Pump() {
  if (ended_ || writing_ || answers_.empty()) return;
  written_ = std::move(answers_.front());
  answers_.pop_front();
  writing_ = true;
  StartWrite(&written_);
}

void ServeSession::OnWriteDone(bool ok) {
  MutexLock lock(&mutex_);
  writing_ = false;
  if (ok) Pump();
}

void ServeSession::Stop(const absl::Status& why) { End(why, Leaving::kBrokenOff); }

void ServeSession::Recheck() {
  const absl::StatusOr<Caller> caller =
      control_plane_->authorizer->authenticator().WhoIs(*connection_);
  if (!caller.ok()) End(caller.status(), Leaving::kInOrder);
}

void ServeSession::OnCancel() {
  End(absl::CancelledError("the service went away"), Leaving::kBrokenOff);
}

void ServeSession::End(const absl::Status& why, Leaving leaving) {
  std::optional<LiveEndpoints::Key> key;
  {
    MutexLock lock(&mutex_);
    if (std::exchange(ended_, true)) return;
    key = key_;
  }
  const auto finish = [self = shared_from_this(), status = ToGrpc(why)] { self->Finish(status); };
  if (!key.has_value()) return finish();
  control_plane_->live->Leave(*key, this, leaving, finish);
}

void ServeSession::OnDone() {
  std::shared_ptr<ServeSession> self;  // Outlives the lock.
  MutexLock lock(&mutex_);
  self = std::move(self_);
}

}  // namespace sallyport
