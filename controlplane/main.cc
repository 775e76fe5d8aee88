// sallyportd: the control plane.

#include <grpc/grpc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "common/base/descriptors.h"
#include "common/base/log.h"
#include "common/base/log_level.h"
#include "common/base/status.h"
#include "controlplane/config.h"
#include "controlplane/maintenance_command.h"
#include "controlplane/server.h"
#include "controlplane/store/sqlite_store.h"
#include "controlplane/store/state_dir.h"

namespace sallyport {
namespace {

// Blocked before any thread starts, so that every thread inherits it and only main waits for them.
sigset_t BlockStopSignals() {
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  LogLevelSignals::AddTo(&stop);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return stop;
}

// Each agent is a connection, and the usual soft limit is 1,024. The hard one is the operator's.
void RaiseFileLimit() {
  rlimit files = {};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

// gRPC takes up to 20 s to let go of a client that does not read. Whatever was answered is durable,
// so there is nothing to lose by not waiting for that.
void ExitWithin(std::chrono::milliseconds limit) {
  std::thread([limit] {
    std::this_thread::sleep_for(limit);
    LogWarning("a client does not let go of its connection; leaving it");
    _exit(EXIT_SUCCESS);
  }).detach();
}

absl::Status Serve(const Config& config, const sigset_t& stop) {
  ASSIGN_OR_RETURN(std::unique_ptr<Store> store, OpenSqliteStore(config.state_dir));
  ASSIGN_OR_RETURN(const std::unique_ptr<Server> server,
                   Server::Start(std::move(store), config.listen, config.tls_dir,
                                 SecretsKeyPath(config.state_dir)));
  // On stdout, for programs that start this one with port 0.
  for (const std::string& address : server->addresses()) {
    std::printf("listening on %s\n", address.c_str());
  }
  if (!config.metrics.empty()) {
    ASSIGN_OR_RETURN(const std::string metrics, server->ServeMetrics(config.metrics));
    std::printf("metrics on %s\n", metrics.c_str());
  }
  std::fflush(stdout);
  LogLevelSignals level;
  int signal = 0;
  do {
    sigwait(&stop, &signal);
  } while (level.Take(signal).has_value());
  LogInfo("stopping on signal ", signal);
  ExitWithin(std::chrono::milliseconds(1500));
  return absl::OkStatus();
}

int Main(const std::vector<std::string>& arguments) {
  SetLogProgram("sallyportd");
  if (IsMaintenanceCommand(arguments)) return RunMaintenanceCommand(arguments);
  // Debian's Abseil looks for deadlocks at each lock that gRPC takes, under one lock for all.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  const Config config = ConfigFromFlagsOrExit(arguments);
  // No core file and no debugger gets at secrets.
  prctl(PR_SET_DUMPABLE, 0);
  RaiseFileLimit();
  ReserveDescriptors();
  const sigset_t stop = BlockStopSignals();  // gRPC starts threads.
  // Never given back: the last user's grpc_shutdown joins threads that may sleep on a blocked write
  // for ten seconds and more. By then everything that is ours is closed.
  grpc_init();
  const absl::Status status = Serve(config, stop);
  if (status.ok()) return EXIT_SUCCESS;
  LogError(status.message());
  return EXIT_FAILURE;
}

}  // namespace
}  // namespace sallyport

int main(int argc, char** argv) { return sallyport::Main({argv + 1, argv + argc}); }
