// AgentControl: the agent's own calls, on its local socket.

#ifndef SALLYPORT_AGENT_CONTROL_SERVICE_H_
#define SALLYPORT_AGENT_CONTROL_SERVICE_H_

#include <string>
#include <utility>

#include "agent/containers.h"
#include "agent/proxy_supervisor.h"
#include "agent/sync_client.h"
#include "proto/sallyport/v1/agent.grpc.pb.h"

namespace sallyport::agent {

// Thin: each call is handed to what does it. Thread-safe.
class ControlService final : public v1::AgentControl::Service {
 public:
  struct Names {
    std::string host;
    std::string control_plane;
  };
  ControlService(Names names, Containers* containers, ProxySupervisor* supervisor, SyncClient* sync,
                 PolicyCache* cache)
      : names_(std::move(names)),
        containers_(containers),
        supervisor_(supervisor),
        sync_(sync),
        cache_(cache) {}

  grpc::Status Attach(grpc::ServerContext* context, const v1::AttachRequest* request,
                      v1::AttachResponse* response) override;
  grpc::Status Detach(grpc::ServerContext* context, const v1::DetachRequest* request,
                      v1::DetachResponse* response) override;
  grpc::Status ListAttached(grpc::ServerContext* context, const v1::ListAttachedRequest* request,
                            v1::ListAttachedResponse* response) override;
  grpc::Status Status(grpc::ServerContext* context, const v1::StatusRequest* request,
                      v1::StatusResponse* response) override;

 private:
  const Names names_;
  Containers* const containers_;
  ProxySupervisor* const supervisor_;
  SyncClient* const sync_;
  PolicyCache* const cache_;
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_CONTROL_SERVICE_H_
