// AgentControl: the agent's calls on its local socket.

#ifndef SALLYPORT_AGENT_CONTROL_SERVICE_H_
#define SALLYPORT_AGENT_CONTROL_SERVICE_H_

#include <string>

#include "agent/containers.h"
#include "agent/policy_cache.h"
#include "agent/proxy_supervisor.h"
#include "agent/sync_client.h"
#include "proto/sallyport/v1/agent.grpc.pb.h"

namespace sallyport::agent {

// Thread-safe. Each method checks its request, hands it on and translates the answer.
class ControlService final : public v1::AgentControl::Service {
 public:
  struct Parts {
    std::string host_name;
    std::string control_plane;
    Containers* containers;
    ProxySupervisor* supervisor;
    const SyncClient* sync;
    const PolicyCache* cache;
  };
  // The parts outlive this.
  explicit ControlService(Parts parts) : parts_(std::move(parts)) {}

  grpc::Status Attach(grpc::ServerContext* context, const v1::AttachRequest* request,
                      v1::AttachResponse* response) override;
  grpc::Status Detach(grpc::ServerContext* context, const v1::DetachRequest* request,
                      v1::DetachResponse* response) override;
  grpc::Status ListAttached(grpc::ServerContext* context, const v1::ListAttachedRequest* request,
                            v1::ListAttachedResponse* response) override;
  grpc::Status Status(grpc::ServerContext* context, const v1::StatusRequest* request,
                      v1::StatusResponse* response) override;
  grpc::Status RestartProxy(grpc::ServerContext* context, const v1::RestartProxyRequest* request,
                            v1::RestartProxyResponse* response) override;
  grpc::Status Usage(grpc::ServerContext* context, const v1::UsageRequest* request,
                     v1::UsageResponse* response) override;

 private:
  const Parts parts_;
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_CONTROL_SERVICE_H_
