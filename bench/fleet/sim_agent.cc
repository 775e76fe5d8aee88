#include "bench/fleet/sim_agent.h"

#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>
#include <grpcpp/support/client_callback.h>

#include <chrono>
#include <optional>

#include "common/base/strings.h"

namespace sallyport::bench {
namespace {

// As agent/sync_client.cc has it.
std::shared_ptr<grpc::Channel> NewChannel(const std::string& target) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(16 << 20);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
}

std::pair<v1::ResourceKind, std::string> KeyOf(const v1::Resource& resource) {
  if (resource.has_class_()) return {v1::RESOURCE_KIND_CLASS, resource.class_().name()};
  if (resource.has_container()) {
    return {v1::RESOURCE_KIND_CONTAINER, resource.container().container_id()};
  }
  if (resource.has_secret()) return {v1::RESOURCE_KIND_SECRET, resource.secret().name()};
  return {v1::RESOURCE_KIND_HANDLER, resource.handler().name()};
}

}  // namespace

// One stream, on a connection of its own. Its agent deletes it after OnDone.
class SimAgent::Stream final : public grpc::ClientBidiReactor<v1::SyncRequest, v1::SyncResponse> {
 public:
  Stream(SimAgent* agent, const std::string& target)
      : agent_(agent), stub_(v1::PolicySync::NewStub(NewChannel(target))) {
    v1::SyncRequest hello;
    *hello.mutable_hello() = agent_->Greeting();
    stub_->async()->Sync(&context_, this);
    Write(std::move(hello));
    StartRead(&response_);
    StartCall();
  }

  void Cancel() { context_.TryCancel(); }

  void OnReadDone(bool ok) override {
    if (!ok) return;
    if (!response_.has_delta()) return StartRead(&response_);
    agent_->Receive(response_.delta());
    v1::SyncRequest ack;
    ack.mutable_ack()->set_revision(response_.delta().revision());
    Write(std::move(ack));
    StartRead(&response_);
  }
  void OnWriteDone(bool ok) override {
    MutexLock lock(&mutex_);
    writing_ = false;
    if (ok && next_.has_value()) WriteLocked(*std::exchange(next_, std::nullopt));
  }
  void OnDone(const grpc::Status&) override { agent_->Ended(); }

 private:
  // One message at most stands in line: the control plane sends nothing until it has the last ack.
  void Write(v1::SyncRequest request) {
    MutexLock lock(&mutex_);
    writing_ ? void(next_ = std::move(request)) : WriteLocked(std::move(request));
  }
  void WriteLocked(v1::SyncRequest request) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    writing_ = true;
    written_ = std::move(request);
    StartWrite(&written_);
  }

  SimAgent* const agent_;
  const std::unique_ptr<v1::PolicySync::Stub> stub_;
  grpc::ClientContext context_;
  v1::SyncResponse response_;

  Mutex mutex_;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  v1::SyncRequest written_ ABSL_GUARDED_BY(mutex_);
  std::optional<v1::SyncRequest> next_ ABSL_GUARDED_BY(mutex_);
};

SimAgent::SimAgent(FleetNotes* notes, std::string host, int containers, std::string class_name)
    : notes_(notes),
      host_(std::move(host)),
      containers_(containers),
      class_name_(std::move(class_name)) {
  Connect();
}

SimAgent::~SimAgent() = default;

void SimAgent::Connect() {
  std::unique_ptr<Stream> ended;
  {
    MutexLock lock(&mutex_);
    ended = std::move(stream_);
  }
  // Its connection is closed before the next is opened: descriptors are few.
  ended.reset();
  auto stream = std::make_unique<Stream>(this, notes_->target);
  MutexLock lock(&mutex_);
  stream_ = std::move(stream);
}

void SimAgent::Ended() {
  MutexLock lock(&mutex_);
  if (std::exchange(steady_, false)) {
    --notes_->steady;
    back_off_.Reset();
  }
  idle_ = notes_->stop;
  if (idle_) return;
  pause_.Set(std::chrono::system_clock::now() + back_off_.Next(), [this](bool) {
    if (!notes_->stop) return Connect();
    MutexLock idle(&mutex_);
    idle_ = true;
  });
}

void SimAgent::HangUp() {
  MutexLock lock(&mutex_);
  if (stream_ != nullptr) stream_->Cancel();
}

bool SimAgent::Idle() {
  MutexLock lock(&mutex_);
  return idle_;
}

v1::Hello SimAgent::Greeting() {
  MutexLock lock(&mutex_);
  v1::Hello hello;
  hello.set_host_name(host_);
  hello.set_agent_version("simulated");
  hello.set_epoch(epoch_);
  for (const auto& [key, revision] : known_) {
    v1::Hello::Known* known = hello.add_known();
    known->mutable_key()->set_kind(key.first);
    known->mutable_key()->set_name(key.second);
    known->set_revision(revision);
  }
  for (int i = 0; i < containers_; ++i) {
    v1::Attached* attached = hello.add_attached();
    attached->set_container_id(StrCat(host_, "-c", i));
    attached->set_class_name(class_name_);
  }
  return hello;
}

void SimAgent::Receive(const v1::Delta& delta) {
  MutexLock lock(&mutex_);
  if (delta.reset()) known_.clear();
  epoch_ = delta.epoch();
  for (const v1::ResourceKey& key : delta.removed()) known_.erase({key.kind(), key.name()});
  for (const v1::Resource& resource : delta.updated()) {
    // What a stream begins with is not under way since it was changed.
    if (steady_) Measure(resource);
    known_[KeyOf(resource)] = resource.revision();
  }
  if (!std::exchange(steady_, true)) ++notes_->steady;
}

void SimAgent::Measure(const v1::Resource& resource) {
  if (resource.has_class_()) {
    const auto changed = FromText(resource.class_().deny_response().body());
    if (changed.has_value()) notes_->classes.Add(Clock::now() - *changed, containers_);
  }
  if (resource.has_container() && resource.container().outbound_by_host_size() == 1) {
    const auto& fields = resource.container().outbound_by_host(0).handler().params().fields();
    const auto changed = FromText(fields.at("changed").string_value());
    if (changed.has_value()) notes_->containers.Add(Clock::now() - *changed);
  }
}

}  // namespace sallyport::bench
