#include "controlplane/testing/test_server.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <stdlib.h>

#include <filesystem>

#include "common/base/check.h"
#include "common/base/strings.h"
#include "controlplane/store/sqlite_store.h"

namespace sallyport {

namespace fs = std::filesystem;

TestServer::TestServer() {
  // Not under TEST_TMPDIR: a socket's path may have 107 bytes only.
  std::string name = "/tmp/controlplane.XXXXXX";
  dir_ = mkdtemp(name.data());
  socket_ = StrCat(dir_, "/s");
  Start();
  channel_ = NewChannel();
  policy_ = v1::OutboundPolicy::NewStub(channel_);
  registry_ = v1::HandlerRegistry::NewStub(channel_);
}

TestServer::~TestServer() {
  Stop();
  fs::remove_all(dir_);
}

void TestServer::Restart() {
  Stop();
  Start();
}

void TestServer::Start() {
  auto store = OpenSqliteStore(StrCat(dir_, "/state"));
  SALLYPORT_CHECK(store.ok());
  auto server = Server::Start(*std::move(store), {*ListenAddress::Parse(StrCat("unix:", socket_))});
  SALLYPORT_CHECK(server.ok());
  server_ = *std::move(server);
}

void TestServer::RemoveState() { fs::remove_all(StrCat(dir_, "/state")); }

std::shared_ptr<grpc::Channel> TestServer::NewChannel() const {
  return ImpatientChannel(StrCat("unix:", socket_));
}

uint64_t TestServer::ApplyClass(const v1::ContainerClass& value) {
  v1::ApplyClassRequest request;
  *request.mutable_class_() = value;
  *request.mutable_options() = WaitStored();
  v1::ApplyClassResponse response;
  const grpc::Status status =
      Call(*policy_, &v1::OutboundPolicy::Stub::ApplyClass, request, &response);
  SALLYPORT_CHECK(status.ok());
  return response.result().revision();
}

uint64_t TestServer::ApplyClass(const std::string& name) {
  v1::ContainerClass value;
  value.set_name(name);
  return ApplyClass(value);
}

uint64_t TestServer::CreateContainer(const std::string& id, const std::string& class_name) {
  v1::CreateContainerRequest request;
  request.set_container_id(id);
  request.set_class_name(class_name);
  v1::CreateContainerResponse response;
  SALLYPORT_CHECK(
      Call(*policy_, &v1::OutboundPolicy::Stub::CreateContainer, request, &response).ok());
  return response.revision();
}

uint64_t TestServer::RegisterHandler(const std::string& name, const std::string& endpoint) {
  v1::RegisterHandlerRequest request;
  request.mutable_handler()->set_name(name);
  request.mutable_handler()->add_endpoints(endpoint);
  *request.mutable_options() = WaitStored();
  v1::RegisterHandlerResponse response;
  SALLYPORT_CHECK(
      Call(*registry_, &v1::HandlerRegistry::Stub::RegisterHandler, request, &response).ok());
  return response.result().revision();
}

v1::ContainerStatus TestServer::GetContainer(const std::string& id) {
  v1::GetContainerRequest request;
  request.set_container_id(id);
  v1::GetContainerResponse response;
  SALLYPORT_CHECK(Call(*policy_, &v1::OutboundPolicy::Stub::GetContainer, request, &response).ok());
  return response.container();
}

v1::MutationOptions WaitStored() {
  v1::MutationOptions options;
  options.set_wait(v1::WAIT_STORED);
  return options;
}

v1::MutationOptions WaitEnforced(std::chrono::milliseconds timeout) {
  v1::MutationOptions options;
  options.mutable_timeout()->set_seconds(timeout.count() / 1000);
  options.mutable_timeout()->set_nanos(static_cast<int32_t>(timeout.count() % 1000 * 1'000'000));
  return options;
}

std::shared_ptr<grpc::Channel> ImpatientChannel(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 20);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 100);
  arguments.SetMaxReceiveMessageSize(16 << 20);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace sallyport
