#include "controlplane/testing/fake_agent.h"

#include <chrono>

namespace sallyport {
namespace {

std::chrono::steady_clock::time_point Patience() {
  return std::chrono::steady_clock::now() + std::chrono::seconds(10);
}

ResourceId IdOf(const v1::Resource& resource) {
  if (resource.has_class_()) return ResourceId::Class(resource.class_().name());
  if (resource.has_container()) return ResourceId::Container(resource.container().container_id());
  if (resource.has_secret()) return ResourceId::Secret(resource.secret().name());
  return ResourceId::Handler(resource.handler().name());
}

}  // namespace

FakeAgent::FakeAgent(const std::shared_ptr<grpc::Channel>& channel, const v1::Hello& hello,
                     Acks acks)
    : acks_(acks), hello_(hello), stub_(v1::PolicySync::NewStub(channel)) {
  for (const v1::Hello::Known& known : hello.known()) {
    has_[ResourceId::FromProto(known.key())] = known.revision();
  }
  stream_ = stub_->Sync(&context_);
  v1::SyncRequest request;
  *request.mutable_hello() = hello;
  Send(request);
  reader_ = std::thread([this] { Read(); });
}

FakeAgent::~FakeAgent() {
  Disconnect();
  reader_.join();
}

v1::Hello FakeAgent::Hello(const std::string& host,
                           const std::vector<std::pair<std::string, std::string>>& containers) {
  v1::Hello hello;
  hello.set_host_name(host);
  for (const auto& [id, class_name] : containers) {
    v1::Attached* attached = hello.add_attached();
    attached->set_container_id(id);
    attached->set_class_name(class_name);
  }
  return hello;
}

v1::Hello FakeAgent::HelloAgain() {
  MutexLock lock(&mutex_);
  v1::Hello hello = hello_;
  hello.set_epoch(epoch_);
  hello.clear_known();
  for (const auto& [id, revision] : has_) {
    v1::Hello::Known* known = hello.add_known();
    *known->mutable_key() = id.ToProto();
    known->set_revision(revision);
  }
  return hello;
}

void FakeAgent::Reject(const ResourceId& resource, const std::string& reason) {
  MutexLock lock(&mutex_);
  reject_[resource] = reason;
}

void FakeAgent::Ack(uint64_t revision, const std::vector<v1::Ack::Rejected>& rejected) {
  v1::SyncRequest request;
  request.mutable_ack()->set_revision(revision);
  for (const v1::Ack::Rejected& one : rejected) *request.mutable_ack()->add_rejected() = one;
  Send(request);
}

void FakeAgent::Attach(const std::string& id, const std::string& class_name) {
  v1::SyncRequest request;
  request.mutable_attached()->set_container_id(id);
  request.mutable_attached()->set_class_name(class_name);
  Send(request);
}

void FakeAgent::Detach(const std::string& id, bool forget) {
  v1::SyncRequest request;
  request.mutable_detached()->set_container_id(id);
  request.mutable_detached()->set_forget(forget);
  Send(request);
}

void FakeAgent::Announce(const v1::IdentityKeys& keys) {
  v1::SyncRequest request;
  *request.mutable_identity_keys() = keys;
  Send(request);
}

std::optional<v1::Delta> FakeAgent::NextDelta() {
  const auto deadline = Patience();
  MutexLock lock(&mutex_);
  while (deltas_.empty()) {
    if (end_.has_value() || !arrived_.WaitUntil(&mutex_, deadline)) return std::nullopt;
  }
  v1::Delta delta = deltas_.front();
  deltas_.pop_front();
  return delta;
}

std::optional<v1::AttachResult> FakeAgent::NextAttachResult() {
  const auto deadline = Patience();
  MutexLock lock(&mutex_);
  while (results_.empty()) {
    if (end_.has_value() || !arrived_.WaitUntil(&mutex_, deadline)) return std::nullopt;
  }
  v1::AttachResult result = results_.front();
  results_.pop_front();
  return result;
}

bool FakeAgent::WaitToHave(const ResourceId& resource, uint64_t revision) {
  const auto deadline = Patience();
  MutexLock lock(&mutex_);
  while (true) {
    const auto it = has_.find(resource);
    if ((it == has_.end() ? 0 : it->second) == revision) return true;
    if (end_.has_value() || !arrived_.WaitUntil(&mutex_, deadline)) return false;
  }
}

ResourceRevisions FakeAgent::has() {
  MutexLock lock(&mutex_);
  return has_;
}

void FakeAgent::Disconnect() { context_.TryCancel(); }

grpc::Status FakeAgent::WaitForEnd() {
  const auto deadline = Patience();
  MutexLock lock(&mutex_);
  while (!end_.has_value()) {
    if (!arrived_.WaitUntil(&mutex_, deadline)) {
      return grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "the stream goes on");
    }
  }
  return *end_;
}

void FakeAgent::Read() {
  v1::SyncResponse response;
  while (stream_->Read(&response)) {
    v1::SyncRequest ack;
    {
      MutexLock lock(&mutex_);
      if (response.has_attach_result()) results_.push_back(response.attach_result());
      if (response.has_delta()) {
        deltas_.push_back(response.delta());
        Apply(response.delta());
        ack.mutable_ack()->set_revision(response.delta().revision());
        for (const v1::Resource& resource : response.delta().updated()) {
          const auto rejected = reject_.find(IdOf(resource));
          if (rejected == reject_.end()) continue;
          v1::Ack::Rejected* one = ack.mutable_ack()->add_rejected();
          *one->mutable_key() = rejected->first.ToProto();
          one->set_reason(rejected->second);
        }
      }
      arrived_.SignalAll();
    }
    if (ack.has_ack() && acks_ == Acks::kAtOnce) Send(ack);
  }
  const grpc::Status status = stream_->Finish();
  MutexLock lock(&mutex_);
  end_ = status;
  arrived_.SignalAll();
}

void FakeAgent::Apply(const v1::Delta& delta) {
  epoch_ = delta.epoch();
  if (delta.reset()) has_.clear();
  for (const v1::Resource& resource : delta.updated()) has_[IdOf(resource)] = resource.revision();
  for (const v1::ResourceKey& key : delta.removed()) has_.erase(ResourceId::FromProto(key));
}

void FakeAgent::Send(const v1::SyncRequest& request) {
  MutexLock lock(&write_mutex_);
  stream_->Write(request);  // False if the stream has ended: the reader will see that.
}

}  // namespace sallyport
