// sallyport-agent: one per host, root. Never reads a byte that a container sent.

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "agent/agent.h"
#include "agent/config.h"
#include "common/base/log.h"
#include "common/base/status.h"

namespace sallyport::agent {
namespace {

// Blocked before any thread starts, so that every thread inherits it and only main waits for them.
sigset_t BlockStopSignals() {
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  sigaddset(&stop, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return stop;
}

// The proxy inherits the limit, and needs two for each relay. What bounds a container's part is its
// budget; a limit that a shell or an init system has for every program says nothing of this one.
void RaiseDescriptorLimit() {
  constexpr rlim_t kEnough =
      1 << 20;  // The kernel's own limit (fs.nr_open), unless it was changed.
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  const rlim_t hard = files.rlim_max;
  files.rlim_cur = files.rlim_max = std::max(hard, kEnough);
  if (setrlimit(RLIMIT_NOFILE, &files) == 0) return;
  // Not permitted where it runs, or more than the kernel gives.
  LogInfo("the limit of descriptors stays at ", hard, ": ", std::strerror(errno));
  files.rlim_cur = files.rlim_max = hard;
  setrlimit(RLIMIT_NOFILE, &files);
}

void PrepareProcess() {
  // No core file and no debugger gets at the CA keys.
  prctl(PR_SET_DUMPABLE, 0);
  RaiseDescriptorLimit();
}

// On stdout, for programs that start this one.
void SayWhere(const Config& config, const Agent& agent) {
  std::printf("listening on %s\n", config.socket.c_str());
  if (const std::string metrics = agent.metrics_address(); !metrics.empty())
    std::printf("metrics on %s\n", metrics.c_str());
  std::fflush(stdout);
}

absl::Status Serve(const Config& config, const sigset_t& stop) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Agent> agent, Agent::Start(config));
  if (config.audit != kStdout) SayWhere(config, *agent);
  int signal = 0;
  sigwait(&stop, &signal);
  LogInfo("stopping on signal ", signal);
  return absl::OkStatus();
}

int Main(const std::vector<std::string>& arguments) {
  SetLogProgram("sallyport-agent");
  // Debian's Abseil looks for deadlocks at each lock that gRPC takes, under one lock for all.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  const Config config = ConfigFromFlagsOrExit(arguments);
  if (geteuid() != 0) {
    LogError("sallyport-agent prepares containers' networks and must run as root");
    return EXIT_FAILURE;
  }
  PrepareProcess();
  const absl::Status status = Serve(config, BlockStopSignals());
  if (status.ok()) return EXIT_SUCCESS;
  LogError(status.message());
  return EXIT_FAILURE;
}

}  // namespace
}  // namespace sallyport::agent

int main(int argc, char** argv) { return sallyport::agent::Main({argv + 1, argv + argc}); }
