// Where proxies write: audit records and the log.

#include <span>
#include <string>
#include <utility>

#include "agent/proxy_supervisor.h"
#include "common/base/log.h"

namespace sallyport::agent {

void ProxySupervisor::SetAuditFile(UniqueFd file) {
  MutexLock lock(&call_mutex_);
  audit_file_ = std::move(file);
  internal::Command command;
  command.mutable_set_audit_file();
  const int fds[] = {audit_file_.get()};
  if (Serves()) {  // A proxy that is started later gets it first.
    const absl::StatusOr<internal::Done> done = CallServing(command, {fds[0]});
    if (done.ok() && !done->error().empty())
      LogError("audit records go on into the file before: ", done->error());
  }
  CallDraining(command, fds);
}

void ProxySupervisor::SetAuditTap(UniqueFd socket) {
  MutexLock lock(&call_mutex_);
  audit_tap_ = std::move(socket);
  GiveAll(&ProxySupervisor::GiveAuditTap);
}

void ProxySupervisor::SetLogLevel(LogLevel level) {
  MutexLock lock(&call_mutex_);
  log_level_ = level;
  GiveAll(&ProxySupervisor::GiveLogLevel);
}

void ProxySupervisor::GiveAll(void (ProxySupervisor::*give)(RunningProxy*)) {
  if (Serves()) (this->*give)(serving_.get());
  for (const ProxyPtr& proxy : draining_) {
    if (!proxy->lost()) (this->*give)(proxy.get());
  }
}

void ProxySupervisor::GiveLogLevel(RunningProxy* proxy) {
  internal::Command command;
  command.mutable_set_log_level()->set_level(std::string(LogLevelName(log_level_)));
  // One of an older build goes on as it did.
  proxy->Call(command, {}).status().IgnoreError();
}

void ProxySupervisor::GiveAuditTap(RunningProxy* proxy) {
  internal::Command command;
  command.mutable_set_audit_tap();
  const int fds[] = {audit_tap_.get()};
  const absl::StatusOr<internal::Done> done =
      proxy->Call(command, std::span<const int>(fds, audit_tap_.valid() ? 1 : 0));
  const absl::Status status = done.ok() ? Refusal(*done) : done.status();
  if (!status.ok() && !stopping()) {
    LogWarning("who follows audit records does not see those of the proxy ", proxy->pid(), ": ",
               status.message());
  }
}

}  // namespace sallyport::agent
