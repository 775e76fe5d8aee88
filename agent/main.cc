// sallyport-agent: one per host, root. Never reads a byte that a container sent.

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "agent/agent.h"
#include "agent/config.h"
#include "agent/keep/fd_store.h"
#include "agent/keep/keeper.h"
#include "common/base/descriptors.h"
#include "common/base/log.h"
#include "common/base/log_level.h"
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
  LogLevelSignals::AddTo(&stop);
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

// Each attach has a thread of its own for the time that it is in the container's namespace. The C
// library keeps 40 MiB of stacks for threads to come, which are five of the usual size.
void MakeStacksSmall() {
  constexpr size_t kStackBytes = 2 << 20;
  pthread_attr_t attributes;
  if (pthread_getattr_default_np(&attributes) != 0) return;
  pthread_attr_setstacksize(&attributes, kStackBytes);
  pthread_setattr_default_np(&attributes);
  pthread_attr_destroy(&attributes);
}

void PrepareProcess() {
  // No core file and no debugger gets at the CA keys.
  prctl(PR_SET_DUMPABLE, 0);
  RaiseDescriptorLimit();
  ReserveDescriptors();
  MakeStacksSmall();
}

// On stdout, for programs that start this one.
void SayWhere(const Config& config, const Agent& agent) {
  std::printf("listening on %s\n", config.socket.c_str());
  if (const std::string metrics = agent.metrics_address(); !metrics.empty())
    std::printf("metrics on %s\n", metrics.c_str());
  std::fflush(stdout);
}

// What the service manager, or our own keeper, has for this process.
struct FromStore {
  FdStore store;
  std::vector<Inherited> inherited;
};

// Returns when the agent is to stop; SIGHUP, with a store, ends the process in here.
absl::Status Serve(const Config& config, FromStore from, const sigset_t& stop) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Agent> agent,
                   Agent::Start(config, std::move(from.store), std::move(from.inherited)));
  if (config.audit != kStdout) SayWhere(config, *agent);
  LogLevelSignals level;
  int signal = 0;
  while (true) {
    sigwait(&stop, &signal);
    const std::optional<LogLevel> changed = level.Take(signal);
    if (!changed.has_value()) break;
    agent->SetLogLevel(*changed);
  }
  if (signal == SIGHUP && agent->has_store()) {
    LogInfo("leaving everything to the next agent");
    agent->HandOver();
    // Nothing is taken down.
    _exit(EXIT_SUCCESS);
  }
  LogInfo("stopping on signal ", signal);
  return absl::OkStatus();
}

// All but --keeper, which is for this process.
int Keep(const Config& config, const std::vector<std::string>& arguments) {
  KeeperOptions options;
  char program[PATH_MAX] = {};
  if (readlink("/proc/self/exe", program, sizeof(program) - 1) < 0) {
    LogError("the path of this program cannot be read: is /proc mounted?");
    return EXIT_FAILURE;
  }
  options.program = program;
  for (const std::string& argument : arguments) {
    if (!argument.starts_with("--keeper")) options.arguments.push_back(argument);
  }
  options.keep_for = config.keep_for;
  const absl::StatusOr<int> status = RunKeeper(options);
  if (status.ok()) return *status;
  LogError(status.status().message());
  return EXIT_FAILURE;
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
  if (config.keeper) return Keep(config, arguments);
  FromStore from{FdStore::FromEnvironment(), TakeInherited()};
  const absl::Status status = Serve(config, std::move(from), BlockStopSignals());
  if (status.ok()) return EXIT_SUCCESS;
  LogError(status.message());
  // What a former agent has left is not for this one to take down: another may be able to start.
  _exit(EXIT_FAILURE);
}

}  // namespace
}  // namespace sallyport::agent

int main(int argc, char** argv) { return sallyport::agent::Main({argv + 1, argv + argc}); }
