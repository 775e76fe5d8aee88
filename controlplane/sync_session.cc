#include "controlplane/sync_session.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/builtin/secret_reference.h"
#include "controlplane/identity_keys.h"
#include "controlplane/rpc_status.h"

namespace sallyport {
namespace {

// Answers that wait to be written before we stop reading.
constexpr size_t kMaxAnswers = 1000;
// Changes that one agent may have in the line for the store.
constexpr size_t kMaxUnstored = 16;
// Above this a difference is sent in parts, to stay below gRPC's limit on messages (server.cc).
constexpr size_t kDeltaBudget = 4 << 20;
constexpr size_t kMaxReason = 1000;

absl::Status ValidateHostName(const std::string& name) {
  const bool letters = std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.';
  });
  if (!name.empty() && name.size() <= 253 && letters && absl::ascii_isalnum(name[0])) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(StrCat("hello.host_name: ", Quote(name),
                                           " is no host name; write 1 to 253 letters, digits, ",
                                           "`-`, `_`, `.`, the first a letter or digit"));
}

// Cuts the delta to the budget, but leaves one resource at least. True: something was cut.
bool Trim(v1::Delta* delta) {
  size_t size = 0;
  int kept = 0;
  while (kept < delta->updated_size()) {
    size += delta->updated(kept).ByteSizeLong();
    if (kept > 0 && size > kDeltaBudget) break;
    ++kept;
  }
  if (kept == delta->updated_size()) return false;
  delta->mutable_updated()->DeleteSubrange(kept, delta->updated_size() - kept);
  delta->clear_removed();  // With the last part.
  return true;
}

ResourceId IdOf(const v1::Resource& resource) {
  switch (resource.value_case()) {
    case v1::Resource::kClass:
      return ResourceId::Class(resource.class_().name());
    case v1::Resource::kContainer:
      return ResourceId::Container(resource.container().container_id());
    case v1::Resource::kSecret:
      return ResourceId::Secret(resource.secret().name());
    default:
      return ResourceId::Handler(resource.handler().name());
  }
}

}  // namespace

SyncSession* SyncSession::Start(const ControlPlane* control_plane,
                                std::shared_ptr<const grpc::AuthContext> connection) {
  auto session = std::make_shared<SyncSession>(control_plane, std::move(connection));
  MutexLock lock(&session->mutex_);
  session->self_ = session;
  session->ReadNext();
  return session.get();
}

void SyncSession::Poke() {
  MutexLock lock(&mutex_);
  changed_ = true;
  Pump();
}

void SyncSession::Replace() {
  End(grpc::Status(
      grpc::StatusCode::ABORTED,
      "another agent has connected with the same host name; host names must be unique"));
}

void SyncSession::Stop(const std::string& why) {
  End(grpc::Status(grpc::StatusCode::UNAVAILABLE, why));
}

void SyncSession::Recheck() {
  const absl::StatusOr<Caller> caller =
      control_plane_->authorizer->authenticator().WhoIs(*connection_);
  if (!caller.ok()) End(ToGrpc(caller.status()));
}

void SyncSession::OnReadDone(bool ok) {
  MutexLock lock(&mutex_);
  if (ended_) return;
  if (!ok) return EndLocked(grpc::Status::OK);
  v1::SyncRequest request = std::move(read_);
  read_.Clear();
  const bool greeted = stream_ != 0;
  if (greeted == request.has_hello()) {
    return EndLocked(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT,
                                  "the first message of a stream, and only that, is a hello"));
  }
  if (request.has_ack()) {
    Accept(request.ack());
    return;
  }
  if (request.message_case() == v1::SyncRequest::MESSAGE_NOT_SET)
    return ReadNext();  // A newer agent's.
  struct Work {
    v1::SyncRequest request;
    Effect effect;
  };
  const auto work = std::make_shared<Work>(Work{std::move(request), {}});
  const auto self = shared_from_this();
  const bool accepted = control_plane_->writer->Write(
      [self, work](Transaction& transaction) {
        return work->request.has_hello()
                   ? self->Greet(work->request.hello(), &work->effect, &transaction)
                   : self->Change(work->request, &work->effect, &transaction);
      },
      [self, work](const Store::Written& written) {
        work->request.has_hello()
            ? self->Greeted(work->request.hello(), std::move(work->effect), written)
            : self->Changed(std::move(work->effect), written);
      });
  if (!accepted) {
    return EndLocked(
        grpc::Status(grpc::StatusCode::UNAVAILABLE, "the store is behind; connect again"));
  }
  ++unstored_;
  ReadNext();
}

absl::Status SyncSession::Greet(const v1::Hello& hello, Effect* effect, Transaction* transaction) {
  RETURN_IF_ERROR(ValidateHostName(hello.host_name()));
  RETURN_IF_ERROR(CheckHost(hello.host_name()));
  {
    MutexLock lock(&mutex_);
    if (ended_) return absl::CancelledError();
    host_ = hello.host_name();
  }
  effect->host = hello.host_name();
  if (hello.has_identity_keys()) {
    RETURN_IF_ERROR(AnnounceIdentityKeys(effect->host, hello.identity_keys(),
                                         std::chrono::system_clock::now(), transaction));
  }
  control_plane_->hub->Claim(effect->host, shared_from_this());

  std::set<std::string> ids;
  for (const v1::Attached& attached : hello.attached()) ids.insert(attached.container_id());
  DetachOthers(effect->host, ids, transaction);
  effect->left.insert(effect->host);
  for (const v1::Attached& attached : hello.attached()) {
    AttachTo(effect->host, attached, Arrival::kBack, effect, transaction);
  }
  return absl::OkStatus();
}

absl::Status SyncSession::CheckHost(const std::string& host) {
  const Authorizer& authorizer = *control_plane_->authorizer;
  ASSIGN_OR_RETURN(const Caller caller, authorizer.authenticator().WhoIs(*connection_));
  takeover_ = caller.is_local() ? Takeover::kAllowed : Takeover::kRefused;
  return authorizer.CheckName(caller, "/sallyport.v1.PolicySync/Sync", host);
}

absl::Status SyncSession::Change(const v1::SyncRequest& request, Effect* effect,
                                 Transaction* transaction) {
  {
    MutexLock lock(&mutex_);
    if (ended_) return absl::CancelledError();  // A newer stream may speak for the host.
    effect->host = host_;
  }
  if (request.has_identity_keys()) {
    return AnnounceIdentityKeys(effect->host, request.identity_keys(),
                                std::chrono::system_clock::now(), transaction);
  }
  effect->left.insert(effect->host);
  if (request.has_detached()) Detach(effect->host, request.detached(), transaction);
  if (request.has_attached()) {
    AttachTo(effect->host, request.attached(), Arrival::kAnew, effect, transaction);
  }
  return absl::OkStatus();
}

void SyncSession::AttachTo(const std::string& host, const v1::Attached& attached, Arrival arrival,
                           Effect* effect, Transaction* transaction) {
  const IsLive is_live = [this](const std::string& other) {
    return control_plane_->hub->IsLive(other);
  };
  const auto placed = transaction->state().placements.Find(attached.container_id());
  if (placed != nullptr) effect->left.insert(*placed);
  const absl::Status status = Attach(host, attached, arrival, takeover_, is_live, transaction);
  v1::AttachResult& answer = effect->answers.emplace_back();
  answer.set_container_id(attached.container_id());
  answer.set_error(std::string(status.message()));
}

void SyncSession::Greeted(const v1::Hello& hello, Effect effect, const Store::Written& written) {
  if (written.ok()) Announce(**written, &effect);
  bool gone = false;
  {
    MutexLock lock(&mutex_);
    if (written.ok()) {
      stream_ = control_plane_->waiters->Connected(effect.host);
      Seed(hello, **written);
      GoOn(std::move(effect.answers));
    } else {
      EndLocked(ToGrpc(written.status()));
    }
    gone = done_;
  }
  // OnDone may have come before the claim.
  if (gone && !effect.host.empty()) {
    control_plane_->hub->Release(effect.host, this);
    MutexLock lock(&mutex_);
    control_plane_->waiters->Disconnected(effect.host, stream_);
  }
  if (!written.ok()) return;
  LogInfo("host ", effect.host, " connected, agent ", Quote(hello.agent_version()), ", ",
          hello.attached_size(), " containers, ", hello.known_size(), " resources known");
}

void SyncSession::Changed(Effect effect, const Store::Written& written) {
  if (written.ok()) Announce(**written, &effect);
  MutexLock lock(&mutex_);
  if (!written.ok()) return EndLocked(ToGrpc(written.status()));
  GoOn(std::move(effect.answers));
}

void SyncSession::Announce(const State& state, Effect* effect) {
  for (v1::AttachResult& answer : effect->answers) {
    if (answer.error().empty()) {
      answer.set_revision(state.revision);
    } else {
      LogWarning("host ", effect->host, ": container ", Quote(answer.container_id()),
                 " is not attached: ", answer.error());
    }
  }
  for (const std::string& host : effect->left) control_plane_->waiters->Recheck(host);
}

void SyncSession::Seed(const v1::Hello& hello, const State& state) {
  epoch_ = state.epoch;
  reset_ = hello.epoch() != state.epoch;
  for (const v1::Hello::Known& known : hello.known()) {
    // An agent ahead of the store: the store was put back to an older day, and its revisions mean
    // something else now.
    if (known.revision() > state.revision) reset_ = true;
    sent_[ResourceId::FromProto(known.key())] = known.revision();
  }
  if (reset_) sent_.clear();
}

void SyncSession::GoOn(std::deque<v1::AttachResult> answers) {
  for (const v1::AttachResult& answer : answers) {
    if (answer.error().empty()) owed_ = true;
  }
  answers_.insert(answers_.end(), std::make_move_iterator(answers.begin()),
                  std::make_move_iterator(answers.end()));
  changed_ = true;
  --unstored_;
  Pump();
  if (read_waits_) ReadNext();
}

void SyncSession::Accept(const v1::Ack& ack) {
  if (!unacked_.has_value() || ack.revision() != unacked_->revision) {
    return EndLocked(grpc::Status(
        grpc::StatusCode::INVALID_ARGUMENT,
        StrCat("ack.revision: ", ack.revision(), " is acknowledged, but ",
               unacked_.has_value() ? StrCat("the delta under way leads to ", unacked_->revision)
                                    : std::string("no delta is under way"))));
  }
  const Unacked acked = *std::exchange(unacked_, std::nullopt);
  ForgetRejectionsOf(acked.resources);
  for (const v1::Ack::Rejected& rejected : ack.rejected()) {
    const ResourceId id = ResourceId::FromProto(rejected.key());
    if (!sent_.contains(id)) continue;
    LogWarning("host ", host_, " refused ", id.ToString(), ": ", Quote(rejected.reason()));
    rejections_[id] = rejected.reason().substr(0, kMaxReason);
  }
  if (acked.complete) Report(acked.revision);
  Pump();
  ReadNext();
}

void SyncSession::ForgetRejectionsOf(const std::set<ResourceId>& resources) {
  const std::shared_ptr<const State> state = control_plane_->store->Read();
  // A new version of a class makes the agent try its containers anew.
  const auto tried_anew = [&](const ResourceId& id) {
    if (resources.contains(id)) return true;
    if (id.kind != v1::RESOURCE_KIND_CONTAINER) return false;
    const auto container = state->containers.Find(id.name);
    return container != nullptr &&
           resources.contains(ResourceId::Class(container->value.class_name()));
  };
  for (auto it = rejections_.begin(); it != rejections_.end();) {
    const bool keep = sent_.contains(it->first) && !tried_anew(it->first);
    it = keep ? std::next(it) : rejections_.erase(it);
  }
}

void SyncSession::ReadNext() {
  if (ended_) return;
  const size_t ahead = stream_ == 0 ? 1 : kMaxUnstored;
  read_waits_ = answers_.size() > kMaxAnswers || unstored_ >= ahead;
  if (!read_waits_) StartRead(&read_);
}

void SyncSession::Pump() {
  if (ended_ || writing_ || stream_ == 0) return;
  if (!answers_.empty()) {
    v1::SyncResponse response;
    *response.mutable_attach_result() = std::move(answers_.front());
    answers_.pop_front();
    Write(std::move(response));
    if (read_waits_) ReadNext();
    return;
  }
  if (changed_ && !unacked_.has_value()) SendDelta();
}

void SyncSession::Unseal(v1::Delta* delta) const {
  for (v1::Resource& resource : *delta->mutable_updated()) {
    if (!resource.has_secret()) continue;
    v1::Secret& secret = *resource.mutable_secret();
    absl::StatusOr<std::string> value =
        control_plane_->sealer->Unseal(secret.name(), secret.value());
    secret.clear_value();
    if (value.ok()) {
      secret.set_value(*value);
      Wipe(&*value);
    } else {
      secret.set_problem(std::string(value.status().message()));
      LogError("secret ", secret.name(), " ", value.status().message());
    }
  }
}

void SyncSession::SendDelta() {
  changed_ = false;
  const std::shared_ptr<const State> state = control_plane_->store->Read();
  // Revisions of another epoch say nothing about what was sent. The restore ends the stream, but
  // may not have come to it yet.
  if (state->epoch != epoch_) {
    return EndLocked(
        grpc::Status(grpc::StatusCode::UNAVAILABLE, "the store was restored; connect again"));
  }
  const auto containers = state->hosts.Find(host_);
  static const std::set<std::string> kNone;
  const ResourceRevisions needed =
      ResourcesNeeded(*state, containers == nullptr ? kNone : *containers);
  v1::SyncResponse response;
  v1::Delta* delta = response.mutable_delta();
  FillDelta(*state, needed, sent_, delta);
  if (delta->updated().empty() && delta->removed().empty() && !owed_) {
    Report(state->revision);
    return;
  }

  Unseal(delta);
  // A part has the revision already: an agent ignores what is older than it has, and how new that
  // is we are not told. Whoever waits for the revision waits for the ack of the last part.
  const bool trimmed = Trim(delta);
  changed_ = trimmed;
  owed_ = trimmed;
  delta->set_epoch(state->epoch);
  delta->set_revision(state->revision);
  delta->set_reset(std::exchange(reset_, false));
  LogDebug("host ", host_, " is sent revision ", state->revision, ": ", delta->updated_size(),
           " resources, ", delta->removed_size(), " removed");
  unacked_ = Unacked{delta->revision(), {}, !trimmed};
  for (const v1::Resource& resource : delta->updated()) {
    sent_[IdOf(resource)] = resource.revision();
    unacked_->resources.insert(IdOf(resource));
  }
  for (const v1::ResourceKey& key : delta->removed()) sent_.erase(ResourceId::FromProto(key));
  Write(std::move(response));
}

void SyncSession::Write(v1::SyncResponse response) {
  written_ = std::move(response);
  writing_ = true;
  StartWrite(&written_);
}

void SyncSession::OnWriteDone(bool) {
  MutexLock lock(&mutex_);
  writing_ = false;
  Pump();
}

void SyncSession::Report(uint64_t revision) {
  control_plane_->waiters->Report(host_, stream_, {revision, rejections_});
}

void SyncSession::End(const grpc::Status& status) {
  MutexLock lock(&mutex_);
  EndLocked(status);
}

void SyncSession::EndLocked(const grpc::Status& status) {
  if (std::exchange(ended_, true)) return;
  if (!status.ok()) LogInfo("host ", host_, ": stream ends: ", status.error_message());
  Finish(status);
}

void SyncSession::OnCancel() {
  End(grpc::Status(grpc::StatusCode::CANCELLED, "the agent went away"));
}

void SyncSession::OnDone() {
  std::shared_ptr<SyncSession> self;  // Outlives the lock.
  std::string host;
  uint64_t stream = 0;
  {
    MutexLock lock(&mutex_);
    done_ = true;
    self = std::move(self_);
    host = host_;
    stream = stream_;
  }
  if (host.empty()) return;
  control_plane_->hub->Release(host, this);
  control_plane_->waiters->Disconnected(host, stream);
  LogInfo("host ", host, " disconnected");
}

}  // namespace sallyport
