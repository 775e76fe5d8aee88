// The agent as a whole.

#ifndef SALLYPORT_AGENT_AGENT_H_
#define SALLYPORT_AGENT_AGENT_H_

#include <grpcpp/server.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "agent/attach/run_directory.h"
#include "agent/audit_rotation.h"
#include "agent/config.h"
#include "agent/containers.h"
#include "agent/control_service.h"
#include "agent/identity/identity_keeper.h"
#include "agent/identity/token_keys.h"
#include "agent/policy_cache.h"
#include "agent/proxy_supervisor.h"
#include "agent/secret_refresher.h"
#include "agent/sync_client.h"
#include "common/metrics/status_server.h"

namespace sallyport::agent {

// Made in order of dependency: disk, proxy, control plane, containers, calls. When it is destroyed
// no process, file in memory, mount or socket is left behind; within two seconds. Namespaces that
// were attached keep their rules, which lead nowhere.
class Agent {
 public:
  static absl::StatusOr<std::unique_ptr<Agent>> Start(const Config& config);
  ~Agent();

  // Where metrics are served; empty: nowhere.
  std::string metrics_address() const {
    return status_server_ == nullptr ? "" : status_server_->address();
  }

 private:
  Agent(const Config& config, std::unique_ptr<RunDirectory> run_directory,
        std::unique_ptr<PolicyCache> cache, std::unique_ptr<TokenKeys> token_keys,
        UniqueFd audit_file);
  void RotateAuditFile(const Config& config, AuditRotation::FileId file);
  absl::Status ServeMetrics(const Config& config);

  const std::unique_ptr<RunDirectory> run_directory_;
  const std::unique_ptr<PolicyCache> cache_;
  const std::unique_ptr<TokenKeys> token_keys_;
  ProxySupervisor supervisor_;
  SecretRefresher secret_refresher_;
  SyncClient sync_;
  IdentityKeeper identity_keeper_;
  Containers containers_;
  ControlService control_service_;
  std::unique_ptr<grpc::Server> server_;
  std::optional<AuditRotation> audit_rotation_;  // If it is a file.
  std::unique_ptr<StatusServer> status_server_;  // Null: metrics are not served.
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_AGENT_H_
