// Takes the agent's commands and passes each to every worker.

#ifndef SALLYPORT_AGENT_PROXY_CONTROL_H_
#define SALLYPORT_AGENT_PROXY_CONTROL_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "agent/proxy/control.pb.h"
#include "agent/proxy/memory_usage.h"
#include "agent/proxy/overload.h"
#include "agent/proxy/overload_monitor.h"
#include "agent/proxy/worker.h"
#include "common/base/unique_fd.h"
#include "common/policy/snapshot.h"

namespace sallyport::proxy {

// Runs on the main thread, which is no worker. A command is answered when every worker has carried
// it out, so that an acknowledged policy is the one that the next request is decided by.
class Control {
 public:
  Control(UniqueFd socket, std::shared_ptr<const UpstreamTls::Roots> roots,
          MemoryUsage memory_usage);
  ~Control();

  // Says that the proxy is ready, then serves commands until the agent closes the socket (OK) or
  // breaks the protocol.
  absl::Status Run();

 private:
  absl::Status SendEvent(const internal::Event& event);
  // Overwrites the secrets in the command.
  internal::Done Handle(internal::Command* command, std::vector<UniqueFd> descriptors);
  absl::Status Configure(const internal::Configure& command, std::vector<UniqueFd> descriptors);
  absl::Status AddContainer(const internal::AddContainer& command,
                            std::vector<UniqueFd> descriptors);
  absl::Status RemoveContainer(const internal::RemoveContainer& command);
  absl::Status UpdatePolicy(internal::UpdatePolicy* command, internal::Done* done);
  absl::Status SetSecrets(internal::SecretValues* secrets);
  absl::Status SetIdentity(internal::Identity* identity);
  absl::Status SetAuditFile(const std::vector<UniqueFd>& descriptors);
  v1::UsageResponse Usage() const;
  void AddContainers(v1::UsageResponse* usage) const;
  void AddProxy(v1::UsageResponse* usage) const;
  void AddClasses(v1::UsageResponse* usage) const;
  // Runs `work` on every worker, and returns when all have. The first error wins.
  absl::Status OnEveryWorker(absl::FunctionRef<absl::Status(Worker& worker, size_t index)> work);

  const UniqueFd socket_;
  const std::shared_ptr<const UpstreamTls::Roots> roots_;
  SnapshotBuilder builder_;
  const std::shared_ptr<Overload> overload_ = std::make_shared<Overload>();
  const std::shared_ptr<HandlerStats> handler_stats_ = std::make_shared<HandlerStats>();
  std::shared_ptr<const HandlerIdentity> identity_ = std::make_shared<HandlerIdentity>();
  std::optional<MemoryUsage> memory_usage_;  // Until Configure.
  std::optional<OverloadMonitor> monitor_;   // From Configure on.
  std::vector<std::unique_ptr<Worker>> workers_;
  std::shared_ptr<AuditSink> audit_file_;  // Null: there is none.
  ContainerLimits limits_;
  std::map<std::string, std::shared_ptr<const ContainerBudget>> budgets_;
  std::array<uint64_t, kLimitCount> exceeded_before_{};  // By containers that are gone.
  size_t next_dns_worker_ = 0;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_CONTROL_H_
