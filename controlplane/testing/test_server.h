// A control plane in the test's process, on a unix socket in a directory of its own, with a client.

#ifndef SALLYPORT_CONTROLPLANE_TESTING_TEST_SERVER_H_
#define SALLYPORT_CONTROLPLANE_TESTING_TEST_SERVER_H_

#include <grpcpp/channel.h>

#include <chrono>
#include <memory>
#include <string>

#include "controlplane/server.h"
#include "proto/sallyport/v1/admin.grpc.pb.h"
#include "proto/sallyport/v1/registry.grpc.pb.h"

namespace sallyport {

class TestServer {
 public:
  TestServer();
  ~TestServer();

  // As a new process would, on the same state. Clients connect again by themselves.
  void Restart();
  void Stop() { server_.reset(); }
  void Start();
  // Throws the state away: the next Start makes an empty store of another epoch.
  void RemoveState();

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  // A connection of its own.
  std::shared_ptr<grpc::Channel> NewChannel() const;
  v1::OutboundPolicy::Stub& policy() { return *policy_; }
  v1::HandlerRegistry::Stub& registry() { return *registry_; }
  const std::string& socket() const { return socket_; }

  // These must succeed; they do not wait for enforcement.
  uint64_t ApplyClass(const v1::ContainerClass& value);
  uint64_t ApplyClass(const std::string& name);
  uint64_t CreateContainer(const std::string& id, const std::string& class_name);
  uint64_t RegisterHandler(const std::string& name,
                           const std::string& endpoint = "grpc://127.0.0.1:7070");
  v1::ContainerStatus GetContainer(const std::string& id);

 private:
  std::string dir_;
  std::string socket_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::OutboundPolicy::Stub> policy_;
  std::unique_ptr<v1::HandlerRegistry::Stub> registry_;
};

v1::MutationOptions WaitStored();
v1::MutationOptions WaitEnforced(std::chrono::milliseconds timeout);

// A connection of its own to a server that may be killed and come back at any time: tries again at
// once, not after gRPC's pauses of seconds.
std::shared_ptr<grpc::Channel> ImpatientChannel(const std::string& address);

// Calls a stub's method with a deadline of ten seconds.
template <typename Stub, typename Request, typename Response>
grpc::Status Call(Stub& stub,
                  grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                  const std::type_identity_t<Request>& request,
                  std::type_identity_t<Response>* response) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  context.set_wait_for_ready(true);
  return (stub.*method)(&context, request, response);
}

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_TESTING_TEST_SERVER_H_
