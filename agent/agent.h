// The agent as a whole.

#ifndef SALLYPORT_AGENT_AGENT_H_
#define SALLYPORT_AGENT_AGENT_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/attach/host_rules.h"
#include "agent/attach/run_directory.h"
#include "agent/audit_rotation.h"
#include "agent/audit_stream/audit_publisher.h"
#include "agent/config.h"
#include "agent/containers.h"
#include "agent/control_service.h"
#include "agent/control_socket.h"
#include "agent/identity/identity_keeper.h"
#include "agent/identity/token_keys.h"
#include "agent/keep/fd_store.h"
#include "agent/policy_cache.h"
#include "agent/proxy_supervisor.h"
#include "agent/sync_client.h"
#include "common/base/log_level.h"
#include "common/base/periodic_task.h"
#include "common/metrics/status_server.h"

namespace sallyport::agent {

// Made in order of dependency: disk, proxy, control plane, containers, calls. When it is destroyed
// no process, file in memory, mount or socket is left behind; within two seconds. Namespaces that
// were attached keep their rules, which lead nowhere, and what holds routed ones on the host stays.
// An agent that ends in any other way leaves everything to the next one, if there is a store.
class Agent {
 public:
  // `inherited`: what the store has kept of the agent before this one. FAILED_PRECONDITION, and
  // nothing is changed, if another agent runs with this socket or run directory.
  static absl::StatusOr<std::unique_ptr<Agent>> Start(const Config& config, FdStore store,
                                                      std::vector<Inherited> inherited);
  ~Agent();

  // Where metrics are served; empty: nowhere.
  std::string metrics_address() const {
    return status_server_ == nullptr ? "" : status_server_->address();
  }

  // Whether the next agent will find what this one has.
  bool has_store() const { return store_.exists(); }
  // Of the proxies.
  void SetLogLevel(LogLevel level) { supervisor_.SetLogLevel(level); }
  // Answers what is being asked, and nothing any more. The process is to end now, without this
  // object's destruction.
  void HandOver();

 private:
  struct Parts;
  Agent(const Config& config, Parts parts);
  // For calls, and for who scrapes metrics.
  absl::Status Listen(const Config& config);
  absl::Status ServeMetrics(const Config& config);
  void RotateAuditFile(const Config& config, AuditRotation::FileId file);

  const FdStore store_;
  const std::unique_ptr<RunDirectory> run_directory_;
  const std::unique_ptr<HostRules> host_rules_;
  const std::unique_ptr<PolicyCache> cache_;
  const std::unique_ptr<TokenKeys> token_keys_;
  ProxySupervisor supervisor_;
  PeriodicTask refresh_secrets_;
  AuditPublisher audit_publisher_;
  SyncClient sync_;
  IdentityKeeper identity_keeper_;
  Containers containers_;
  ControlService control_service_;
  std::unique_ptr<ControlSocket> control_socket_;
  std::optional<AuditRotation> audit_rotation_;  // If it is a file.
  std::unique_ptr<StatusServer> status_server_;  // Null: metrics are not served.
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_AGENT_H_
