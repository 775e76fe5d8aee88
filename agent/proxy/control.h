// Takes the agent's commands and passes each to every worker.

#ifndef SALLYPORT_AGENT_PROXY_CONTROL_H_
#define SALLYPORT_AGENT_PROXY_CONTROL_H_

#include <array>
#include <chrono>
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
//
// A session that ends is not the end: the agent may be started anew, and find this proxy again.
// That nobody will is known when nobody holds the other side of the door.
class Control {
 public:
  // `door`: the inside of one (common/ipc/door.h).
  Control(UniqueFd door, std::shared_ptr<const UpstreamTls::Roots> roots, MemoryUsage memory_usage);
  ~Control();

  // Serves one session after the other, until the door closes or everything is drained.
  absl::Status Run();

 private:
  enum class Next { kCommand, kSession, kDrained };
  Next WaitForNext() const;
  // Takes the session that waits at the door. OUT_OF_RANGE: there will be none.
  absl::Status BeginSession();
  // Reads a command and answers it. An error: the session has ended.
  absl::Status ServeCommand();
  absl::Status SendEvent(const internal::Event& event);
  // Overwrites the secrets in the command.
  internal::Done Handle(internal::Command* command, std::vector<UniqueFd> descriptors);
  absl::Status Configure(const internal::Configure& command, std::vector<UniqueFd> descriptors);
  absl::Status AddContainer(const internal::AddContainer& command,
                            std::vector<UniqueFd> descriptors);
  absl::Status RemoveContainer(const std::string& id);
  void RetainContainers(const internal::RetainContainers& command, internal::Done* done);
  absl::Status Drain(const internal::Drain& command);
  // What was to be finished is, or its time is over: then it is cut.
  bool IsDrained() const;
  bool IsDnsDrained() const;
  void CutOff();
  absl::Status UpdatePolicy(internal::UpdatePolicy* command, internal::Done* done);
  absl::Status SetSecrets(internal::SecretValues* secrets);
  absl::Status SetIdentity(internal::Identity* identity);
  absl::Status SetAuditFile(const std::vector<UniqueFd>& descriptors);
  absl::Status SetAuditTap(std::vector<UniqueFd> descriptors);
  v1::UsageResponse Usage() const;
  void AddContainers(v1::UsageResponse* usage) const;
  void AddProxy(v1::UsageResponse* usage) const;
  void AddClasses(v1::UsageResponse* usage) const;
  // Runs `work` on every worker, and returns when all have. The first error wins.
  absl::Status OnEveryWorker(
      absl::FunctionRef<absl::Status(Worker& worker, size_t index)> work) const;

  struct Held {
    uint64_t instance = 0;
    std::shared_ptr<const ContainerBudget> budget;
  };

  const UniqueFd door_;
  UniqueFd session_;  // Invalid: none.
  const std::shared_ptr<const UpstreamTls::Roots> roots_;
  SnapshotBuilder builder_;
  const std::shared_ptr<Overload> overload_ = std::make_shared<Overload>();
  const std::shared_ptr<HandlerStats> handler_stats_ = std::make_shared<HandlerStats>();
  std::shared_ptr<const HandlerIdentity> identity_ = std::make_shared<HandlerIdentity>();
  std::optional<MemoryUsage> memory_usage_;  // Until Configure.
  std::optional<OverloadMonitor> monitor_;   // From Configure on.
  std::vector<std::unique_ptr<Worker>> workers_;
  std::shared_ptr<AuditSink> audit_file_;  // Null: there is none.
  const std::shared_ptr<AuditTap> audit_tap_ = std::make_shared<AuditTap>();
  ContainerLimits limits_;
  std::map<std::string, Held> containers_;
  std::array<uint64_t, kLimitCount> exceeded_before_{};  // By containers that are gone.
  // Until when what has begun may take; absent: not draining.
  std::optional<std::chrono::steady_clock::time_point> drain_until_;
  size_t next_dns_worker_ = 0;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_CONTROL_H_
