#include "agent/testing/sync_server.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <chrono>
#include <utility>

#include "common/base/check.h"

namespace sallyport::agent {

void SyncServer::Start() {
  grpc::ServerBuilder builder;
  builder.AddListeningPort(target(), grpc::InsecureServerCredentials());
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  SALLYPORT_CHECK(server_ != nullptr);
}

void SyncServer::Stop() {
  if (server_ == nullptr) return;
  server_->Shutdown(std::chrono::system_clock::now());
  server_.reset();
}

grpc::Status SyncServer::Sync(grpc::ServerContext* context, Stream* stream) {
  {
    MutexLock lock(&mutex_);
    stream_ = stream;
    context_ = context;
    end_.reset();
  }
  v1::SyncRequest request;
  while (stream->Read(&request)) {
    MutexLock lock(&mutex_);
    received_.push_back(std::move(request));
    request.Clear();
    changed_.SignalAll();
  }
  MutexLock lock(&mutex_);
  stream_ = nullptr;
  context_ = nullptr;
  return end_.value_or(grpc::Status::OK);
}

std::optional<v1::SyncRequest> SyncServer::Next() {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  MutexLock lock(&mutex_);
  while (received_.empty()) {
    if (!changed_.WaitUntil(&mutex_, deadline) && received_.empty()) return std::nullopt;
  }
  v1::SyncRequest request = std::move(received_.front());
  received_.pop_front();
  return request;
}

void SyncServer::Send(const v1::SyncResponse& response) {
  MutexLock lock(&mutex_);
  SALLYPORT_CHECK(stream_ != nullptr);
  stream_->Write(response);
}

void SyncServer::SendDelta(const v1::Delta& delta) {
  v1::SyncResponse response;
  *response.mutable_delta() = delta;
  Send(response);
}

void SyncServer::Accept(const std::string& container_id, uint64_t revision) {
  v1::SyncResponse response;
  response.mutable_attach_result()->set_container_id(container_id);
  response.mutable_attach_result()->set_revision(revision);
  Send(response);
}

void SyncServer::Refuse(const std::string& container_id, const std::string& error) {
  v1::SyncResponse response;
  response.mutable_attach_result()->set_container_id(container_id);
  response.mutable_attach_result()->set_error(error);
  Send(response);
}

void SyncServer::HangUp(const grpc::Status& status) {
  MutexLock lock(&mutex_);
  end_ = status;
  if (context_ != nullptr) context_->TryCancel();
}

}  // namespace sallyport::agent
