// One proxy that runs, and the ways to it.

#ifndef SALLYPORT_AGENT_RUNNING_PROXY_H_
#define SALLYPORT_AGENT_RUNNING_PROXY_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/handler_sockets.h"
#include "agent/keep/fd_store.h"
#include "agent/proxy/control.pb.h"
#include "agent/proxy_link.h"
#include "agent/proxy_process.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {

// What an agent finds of a proxy that the one before it has started.
struct FoundProxy {
  std::string kept_as;
  uint64_t serial = 0;
  pid_t pid = 0;
  std::string build;
  UniqueFd door;
  UniqueFd process;
  UniqueFd sockets;
};

// Killed when destroyed, which waits for its end. Kill is thread-safe; calls are made one at a
// time.
class RunningProxy {
 public:
  struct Program {
    std::string binary;
    std::vector<std::string> arguments;
    ProxyProcess::Life life = ProxyProcess::Life::kWithAgent;
    // How long it may take for one command.
    std::chrono::milliseconds answer_timeout{10'000};
  };

  static absl::StatusOr<std::unique_ptr<RunningProxy>> Start(const Program& program,
                                                             uint64_t serial,
                                                             HandlerSockets::Check check);
  static absl::StatusOr<std::unique_ptr<RunningProxy>> Find(FoundProxy found,
                                                            const Program& program,
                                                            HandlerSockets::Check check);

  // REQUIRES: first call.
  absl::StatusOr<internal::Ready> WaitReady() { return link_.WaitReady(); }
  // After an error it is lost, and killed: it is not known what it did.
  absl::StatusOr<internal::Done> Call(const internal::Command& command, std::span<const int> fds);
  bool lost() const { return lost_; }
  void Kill() const { process_.Kill(); }
  // Waits for the end and says in a few words how it came.
  std::string Wait() { return process_.Wait(); }

  pid_t pid() const { return process_.pid(); }
  // Readable when the process has ended.
  int handle() const { return process_.handle(); }
  uint64_t serial() const { return serial_; }
  // Its end of the way to sockets, for Configure; invalid: there is none to be given.
  const UniqueFd& sockets_peer() const { return sockets_.peer(); }

  // The next agent will find it.
  absl::Status KeepIn(const FdStore& store, const std::string& build);
  void ForgetIn(const FdStore& store) const;

 private:
  RunningProxy(ProxyProcess process, uint64_t serial, std::chrono::milliseconds answer_timeout,
               UniqueFd session, HandlerSockets::Check check, UniqueFd sockets);

  ProxyProcess process_;
  const uint64_t serial_;
  ProxyLink link_;
  HandlerSockets sockets_;
  std::string kept_as_;  // Empty: it is not.
  bool lost_ = false;
};

// By the name that it is kept as.
bool IsKeptProxy(const std::string& name);
// INVALID_ARGUMENT if the parcel is of something else.
absl::StatusOr<FoundProxy> ReadProxy(const std::string& name, Parcel parcel);

// What tells a program and its settings from others: its file, as it is now, and all it is told at
// its start.
std::string BuildOf(const RunningProxy::Program& program, const internal::Configure& configure);

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_RUNNING_PROXY_H_
