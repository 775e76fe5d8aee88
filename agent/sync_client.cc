#include "agent/sync_client.h"

#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "agent/back_off.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/pki/channel_credentials.h"

namespace sallyport::agent {
namespace {

using std::chrono::milliseconds;

// How long a delta may take to be enforced: a proxy may have to be started first.
constexpr std::chrono::seconds kApplyDeadline{15};
// A container that is attached again before the control plane has taken its policy away gets no
// delta. This long after the control plane's answer none is expected.
constexpr milliseconds kGraceForDelta{200};
constexpr milliseconds kFarewell{500};
// The control plane's own limit on messages.
constexpr int kMaxMessageBytes = 16 << 20;

absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(const SyncClient::Options& options) {
  ASSIGN_OR_RETURN(const std::shared_ptr<grpc::ChannelCredentials> credentials,
                   pki::CredentialsFor(options.target, options.tls_dir));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  // Pauses are ours: a connection of its own for each attempt, nothing remembered from the last.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // Finds a control plane that went away without a word. No more often than it permits.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  return grpc::CreateCustomChannel(options.target, credentials, arguments);
}

v1::SyncRequest DetachedMessage(const std::string& id, bool forget) {
  v1::SyncRequest request;
  request.mutable_detached()->set_container_id(id);
  request.mutable_detached()->set_forget(forget);
  return request;
}

}  // namespace

SyncClient::SyncClient(Options options, ProxySupervisor* supervisor, PolicyCache* cache)
    : options_(std::move(options)),
      supervisor_(supervisor),
      cache_(cache),
      state_{.connected = false, .error = "", .lost = std::chrono::system_clock::now()},
      attached_(Unanswered(options_.attached)),
      thread_([this] { Run(); }) {}

SyncClient::~SyncClient() {
  AbandonWaits();
  Stop();
  thread_.join();
}

v1::SyncRequest SyncClient::AttachedMessage(const std::string& id, const Container& container) {
  v1::SyncRequest request;
  request.mutable_attached()->set_container_id(id);
  request.mutable_attached()->set_class_name(container.class_name);
  request.mutable_attached()->set_ephemeral(container.ephemeral);
  return request;
}

std::map<std::string, SyncClient::Container> SyncClient::Unanswered(
    const std::vector<v1::Attached>& containers) {
  std::map<std::string, Container> attached;
  for (const v1::Attached& one : containers)
    attached[one.container_id()] = {one.class_name(), one.ephemeral(), std::nullopt, {}};
  return attached;
}

void SyncClient::Attached(const std::string& container_id, const std::string& class_name,
                          bool ephemeral) {
  MutexLock lock(&mutex_);
  Container& container = attached_[container_id];
  container = {class_name, ephemeral, std::nullopt, {}};
  Wake(container_id);
  Send(AttachedMessage(container_id, container));
}

void SyncClient::Detached(const std::string& container_id, bool forget) {
  MutexLock lock(&mutex_);
  attached_.erase(container_id);
  Wake(container_id);
  if (forget) to_forget_.insert(container_id);
  Send(DetachedMessage(container_id, forget));
}

Enforcement SyncClient::WaitEnforced(const std::string& container_id, Clock::time_point deadline) {
  MutexLock lock(&mutex_);
  const auto waiter = waiters_.emplace(waiters_.end());
  waiter->container_id = container_id;
  Enforcement enforcement = AwaitKnown(*waiter, deadline);
  waiters_.erase(waiter);
  return enforcement;
}

Enforcement SyncClient::AwaitKnown(Waiter& waiter, Clock::time_point deadline) {
  for (;;) {
    const auto found = attached_.find(waiter.container_id);
    if (found == attached_.end()) return {Enforcement::Kind::kGone, 0, "it was detached meanwhile"};
    Clock::time_point until = deadline;
    std::optional<Enforcement> known = Known(waiter.container_id, found->second, &until);
    if (known.has_value()) return *std::move(known);
    if (Clock::now() >= deadline || abandon_waits_) {
      return {Enforcement::Kind::kPending, 0,
              state_.connected ? "the control plane has not sent the policy yet"
                               : absl::StrCat("the control plane is away: ", state_.error)};
    }
    waiter.bell.WaitUntil(&mutex_, std::min(deadline, until));
  }
}

void SyncClient::Wake(const std::string& container_id) {
  for (Waiter& waiter : waiters_) {
    if (waiter.container_id == container_id) waiter.bell.Signal();
  }
}

void SyncClient::WakeAll() {
  for (Waiter& waiter : waiters_) waiter.bell.Signal();
}

std::optional<Enforcement> SyncClient::Known(const std::string& id, const Container& container,
                                             Clock::time_point* until) const {
  const bool cached = cache_->ClassOf(id) == container.class_name;
  if (!container.result.has_value()) {
    if (!cached || state_.error.empty()) return std::nullopt;
    return Enforcement{Enforcement::Kind::kEnforced, cache_->revision(),
                       "the control plane is away; the last known policy holds"};
  }
  const v1::AttachResult& result = *container.result;
  if (!result.error().empty()) return Enforcement{Enforcement::Kind::kRefused, 0, result.error()};
  const bool acked = enforced_ >= result.revision();
  std::string reason;
  const bool rejected = Rejected(id, container, &reason);
  // An ack may be of a part of the difference that this container is not in.
  if (!cached && !(acked && rejected)) return std::nullopt;
  if (!acked && Clock::now() < container.answered + kGraceForDelta) {
    *until = container.answered + kGraceForDelta;
    return std::nullopt;
  }
  return Enforcement{rejected ? Enforcement::Kind::kPending : Enforcement::Kind::kEnforced,
                     rejected ? 0 : std::max(enforced_, result.revision()), reason};
}

bool SyncClient::Rejected(const std::string& id, const Container& container,
                          std::string* reason) const {
  for (const auto& key : {std::pair(v1::RESOURCE_KIND_CONTAINER, id),
                          std::pair(v1::RESOURCE_KIND_CLASS, container.class_name)}) {
    const auto found = rejections_.find(key);
    if (found == rejections_.end()) continue;
    *reason = absl::StrCat("this host cannot use the policy: ", found->second);
    return true;
  }
  return false;
}

void SyncClient::AnnounceIdentityKeys() {
  if (options_.token_keys == nullptr) return;
  MutexLock lock(&mutex_);
  if (!greeted_) return;
  TokenKeys::Announcement announcement = options_.token_keys->announcement();
  v1::SyncRequest request;
  *request.mutable_identity_keys() = std::move(announcement.keys);
  Send(std::move(request));
  sent_keys_ = announcement.number;
  keys_sent_at_ = Clock::now();
}

uint64_t SyncClient::told_identity_keys() const {
  MutexLock lock(&mutex_);
  if (!state_.connected) return told_keys_;
  if (sent_keys_ != 0 && Clock::now() - keys_sent_at_ >= options_.heard_after) return sent_keys_;
  return std::max(told_keys_, greeted_keys_);
}

SyncClient::State SyncClient::state() const {
  MutexLock lock(&mutex_);
  return state_;
}

void SyncClient::AbandonWaits() {
  MutexLock lock(&mutex_);
  abandon_waits_ = true;
  WakeAll();
}

void SyncClient::Stop() {
  MutexLock lock(&mutex_);
  stopping_ = true;
  stop_changed_.SignalAll();
  outbox_changed_.SignalAll();
  const Clock::time_point deadline = Clock::now() + kFarewell;
  while (!stopped_ && Clock::now() < deadline) stop_changed_.WaitUntil(&mutex_, deadline);
  if (context_ != nullptr) context_->TryCancel();
}

void SyncClient::Run() {
  BackOff back_off(options_.first_pause, options_.longest_pause);
  do {
    const grpc::Status status = RunStream();
    const milliseconds up = NoteEnd(status);
    if (status.error_code() == grpc::StatusCode::ABORTED) {
      // Another agent of this name took over; not to fight with it for the name.
      back_off.Lengthen();
    } else if (up >= options_.longest_pause) {
      // A stream that always breaks soon is no reason to hurry.
      back_off.Reset();
    }
  } while (Pause(back_off.Next()));
  MutexLock lock(&mutex_);
  stopped_ = true;
  stop_changed_.SignalAll();
}

grpc::Status SyncClient::RunStream() {
  const absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = Connect(options_);
  if (!channel.ok()) {
    return {grpc::StatusCode::UNAVAILABLE, std::string(channel.status().message())};
  }
  const std::unique_ptr<v1::PolicySync::Stub> stub = v1::PolicySync::NewStub(*channel);
  grpc::ClientContext context;
  {
    MutexLock lock(&mutex_);
    if (stopping_) return grpc::Status::CANCELLED;
    context_ = &context;
    stream_ended_ = false;
  }
  const std::unique_ptr<Stream> stream = stub->Sync(&context);
  v1::SyncRequest hello;
  *hello.mutable_hello() = Greeting();
  if (stream->Write(hello)) {
    std::thread writer([this, &stream] { WriteOutbox(stream.get()); });
    if (options_.audit != nullptr) options_.audit->Start(*channel);
    v1::SyncResponse response;
    while (stream->Read(&response)) {
      Receive(response);
      if (!response.has_delta()) continue;
      if (!Apply(response.delta())) context.TryCancel();
      WipeSecrets(response.mutable_delta());
    }
    if (options_.audit != nullptr) options_.audit->Stop();
    {
      MutexLock lock(&mutex_);
      stream_ended_ = true;
      outbox_changed_.SignalAll();
    }
    writer.join();
  }
  const grpc::Status status = stream->Finish();
  MutexLock lock(&mutex_);
  context_ = nullptr;
  greeted_ = false;
  return status;
}

v1::Hello SyncClient::Greeting() {
  v1::Hello hello;
  hello.set_host_name(options_.host_name);
  hello.set_agent_version(options_.version);
  cache_->FillHello(&hello);
  supervisor_->secrets().FillHello(&hello);
  MutexLock lock(&mutex_);
  if (options_.token_keys != nullptr) {
    TokenKeys::Announcement announcement = options_.token_keys->announcement();
    *hello.mutable_identity_keys() = std::move(announcement.keys);
    greeted_keys_ = announcement.number;
  }
  sent_keys_ = 0;
  outbox_.clear();
  unanswered_.clear();
  enforced_ = 0;
  rejections_.clear();
  for (auto& [id, container] : attached_) {
    container.result.reset();
    if (!to_forget_.contains(id)) Greet(id, container, &hello);
  }
  // A record is deleted by detaching what is attached. The class is the record's, whatever it is.
  for (const std::string& id : to_forget_) {
    Greet(id, {.class_name = "", .ephemeral = true, .result = {}, .answered = {}}, &hello);
    outbox_.push_back(DetachedMessage(id, /*forget=*/true));
    const auto again = attached_.find(id);
    if (again == attached_.end()) continue;
    outbox_.push_back(AttachedMessage(id, again->second));
    ++unanswered_[id];
  }
  greeted_ = true;
  return hello;
}

void SyncClient::Greet(const std::string& id, const Container& container, v1::Hello* hello) {
  *hello->add_attached() = AttachedMessage(id, container).attached();
  ++unanswered_[id];
}

void SyncClient::Send(v1::SyncRequest request) {
  // The next Hello says it all.
  if (!greeted_) return;
  if (request.has_attached()) ++unanswered_[request.attached().container_id()];
  outbox_.push_back(std::move(request));
  outbox_changed_.Signal();
}

void SyncClient::WriteOutbox(Stream* stream) {
  for (;;) {
    v1::SyncRequest request;
    {
      MutexLock lock(&mutex_);
      while (outbox_.empty() && !stopping_ && !stream_ended_) outbox_changed_.Wait(&mutex_);
      if (stream_ended_) return;
      if (outbox_.empty()) break;
      request = std::move(outbox_.front());
      outbox_.pop_front();
    }
    if (!stream->Write(request)) return;
    if (!request.detached().forget()) continue;
    MutexLock lock(&mutex_);
    to_forget_.erase(request.detached().container_id());
  }
  // Stopping: the control plane ends the stream when it has taken everything in.
  stream->WritesDone();
}

void SyncClient::Receive(const v1::SyncResponse& response) {
  MutexLock lock(&mutex_);
  if (!state_.connected) {
    LogInfo("connected to the control plane at ", options_.target);
    connected_at_ = Clock::now();
  }
  state_ = {.connected = true, .error = "", .lost = {}};
  if (!response.has_attach_result()) return;
  const std::string& id = response.attach_result().container_id();
  if (const auto due = unanswered_.find(id); due != unanswered_.end()) {
    if (--due->second > 0) return;
    unanswered_.erase(due);
  }
  const auto found = attached_.find(id);
  if (found == attached_.end()) return;
  found->second.result = response.attach_result();
  found->second.answered = Clock::now();
  Wake(id);
}

bool SyncClient::Apply(const v1::Delta& delta) {
  LogDebug("revision ", delta.revision(), " has come: ", delta.updated_size(), " resources, ",
           delta.removed_size(), " removed");
  if (delta.reset()) NoteReset(delta);
  const absl::StatusOr<std::vector<v1::Ack::Rejected>> rejected =
      supervisor_->UpdatePolicy(delta, Clock::now() + kApplyDeadline);
  MutexLock lock(&mutex_);
  if (!rejected.ok()) {
    if (!stopping_)
      LogError("revision ", delta.revision(), " is not enforced: ", rejected.status().message());
    return false;
  }
  NoteEnforced(delta, *rejected);
  v1::SyncRequest request;
  v1::Ack* const ack = request.mutable_ack();
  ack->set_revision(delta.revision());
  ack->mutable_rejected()->Add(rejected->begin(), rejected->end());
  Send(std::move(request));
  return true;
}

void SyncClient::NoteReset(const v1::Delta& delta) const {
  const uint64_t before = cache_->epoch();
  if (before == 0) return;
  LogWarning("the control plane begins anew, since ",
             before == delta.epoch() ? "its store was put back to an older day"
                                     : "its store is another one",
             " (epoch ", delta.epoch(), ", before: ", before,
             "); what it does not know is no longer enforced");
}

void SyncClient::NoteEnforced(const v1::Delta& delta,
                              const std::vector<v1::Ack::Rejected>& rejected) {
  enforced_ = delta.revision();
  if (delta.reset()) rejections_.clear();
  for (const v1::ResourceKey& key : delta.removed()) rejections_.erase({key.kind(), key.name()});
  for (const v1::Resource& resource : delta.updated()) {
    if (resource.has_container()) {
      rejections_.erase({v1::RESOURCE_KIND_CONTAINER, resource.container().container_id()});
    } else if (resource.has_class_()) {
      // Its containers were tried anew with it.
      std::erase_if(rejections_, [&](const auto& one) {
        const auto& [kind, name] = one.first;
        return kind == v1::RESOURCE_KIND_CONTAINER || name == resource.class_().name();
      });
    }
  }
  for (const v1::Ack::Rejected& one : rejected) {
    LogWarning("the policy of ", one.key().name(), " cannot be used: ", one.reason());
    rejections_[{one.key().kind(), one.key().name()}] = one.reason();
  }
  WakeAll();
}

milliseconds SyncClient::NoteEnd(const grpc::Status& status) {
  MutexLock lock(&mutex_);
  const Clock::duration up =
      state_.connected ? Clock::now() - connected_at_ : Clock::duration::zero();
  const std::string reason =
      status.ok() ? "it closed the stream" : pki::ExplainConnectFailure(status.error_message());
  // Said once, not at every attempt.
  if (!stopping_ && (state_.connected || state_.error != reason)) {
    LogWarning("no control plane at ", options_.target, ": ", reason,
               "; the last known policy is enforced");
  }
  state_.error = reason;
  // Its first answer comes when what the Hello said is stored.
  if (state_.connected) told_keys_ = std::max(told_keys_, greeted_keys_);
  if (std::exchange(state_.connected, false)) state_.lost = std::chrono::system_clock::now();
  WakeAll();
  return std::chrono::duration_cast<milliseconds>(up);
}

bool SyncClient::Pause(milliseconds duration) {
  MutexLock lock(&mutex_);
  const Clock::time_point end = Clock::now() + duration;
  while (!stopping_ && Clock::now() < end) stop_changed_.WaitUntil(&mutex_, end);
  return !stopping_;
}

}  // namespace sallyport::agent
