// sallyport-agent: the composition root.

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>

#include "agent/attach/netns.h"
#include "agent/attach/run_directory.h"
#include "agent/config.h"
#include "agent/containers.h"
#include "agent/control_service.h"
#include "agent/policy_cache.h"
#include "agent/proxy_supervisor.h"
#include "agent/sync_client.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::agent {
namespace {

// The superuser's socket. One that a dead agent left is replaced; one that answers is not.
absl::Status ClaimSocket(const std::string& address) {
  const std::string path = address.substr(std::strlen("unix:"));
  sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = {}};
  if (path.size() >= sizeof(name.sun_path))
    return absl::InvalidArgumentError(
        ToAbsl(StrCat("--socket: ", path, " is too long for a socket")));
  path.copy(name.sun_path, path.size());
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  const UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(probe.get(), reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0) {
    return absl::AlreadyExistsError(ToAbsl(StrCat(
        "another agent listens at ", path, "; stop it, or choose another --socket and --run-dir")));
  }
  if (errno == ECONNREFUSED) unlink(path.c_str());
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> OpenAuditFile(const std::string& path) {
  UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!file.valid())
    return absl::UnavailableError(
        ToAbsl(StrCat("--audit: cannot open ", path, ": ", strerror(errno))));
  return file;
}

ProxySupervisor::Options ProxyOptions(const Config& config, UniqueFd audit_file) {
  ProxySupervisor::Options options;
  options.binary = config.proxy_binary;
  options.arguments = {"--control-fd=3", "--user=" + config.proxy_user,
                       "--origin-roots=" + config.origin_roots};
  options.configure.set_workers(static_cast<uint32_t>(config.workers));
  options.configure.mutable_resolvers()->Assign(config.resolvers.begin(), config.resolvers.end());
  options.configure.mutable_open_ranges()->Assign(config.open_ranges.begin(),
                                                  config.open_ranges.end());
  options.configure.set_has_audit_file(true);
  options.audit_file = std::move(audit_file);
  return options;
}

// Components in order of dependency; they end in reverse.
absl::Status Run(const Config& config, const sigset_t& stop_signals) {
  ASSIGN_OR_RETURN(NetworkNamespace own, NetworkNamespace::Own());
  RETURN_IF_ERROR(ClaimSocket(config.socket));
  ASSIGN_OR_RETURN(const std::unique_ptr<RunDirectory> run_directory,
                   RunDirectory::Open(config.run_dir));
  ASSIGN_OR_RETURN(const std::unique_ptr<PolicyCache> cache, PolicyCache::Open(config.state_dir));
  ASSIGN_OR_RETURN(UniqueFd audit_file, OpenAuditFile(config.audit));
  ProxySupervisor supervisor(ProxyOptions(config, std::move(audit_file)), cache.get());
  SyncClient sync(
      {.target = config.control_plane, .host_name = config.host_name, .version = kVersion},
      &supervisor, cache.get());
  Containers containers(std::move(own), run_directory.get(), &supervisor, &sync);
  ControlService service({config.host_name, config.control_plane}, &containers, &supervisor, &sync,
                         cache.get());

  // Made for its owner only from the first moment.
  const mode_t mask = umask(0177);
  grpc::ServerBuilder builder;
  int bound = 0;
  builder.AddListeningPort(config.socket, grpc::InsecureServerCredentials(), &bound);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  umask(mask);
  if (server == nullptr)
    return absl::UnavailableError(ToAbsl(StrCat("--socket: cannot listen at ", config.socket)));
  LogInfo("listening on ", config.socket);

  int number = 0;
  sigwait(&stop_signals, &number);
  LogInfo("stopping: containers are cut off");
  sync.AbandonWaits();
  server->Shutdown(std::chrono::system_clock::now());
  containers.DetachAll();
  sync.Stop();
  supervisor.Stop();
  return absl::OkStatus();
}

int Main(int argc, char** argv) {
  SetLogProgram("sallyport-agent");
  const Config config = Config::ParseOrExit(argc, argv);
  if (geteuid() != 0) {
    LogError("the agent enters network namespaces: run it as root");
    return 1;
  }
  // Blocked in every thread, and awaited by this one.
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  const absl::Status status = Run(config, stop_signals);
  if (status.ok()) return 0;
  LogError(ToStd(status.message()));
  return 1;
}

}  // namespace
}  // namespace sallyport::agent

int main(int argc, char** argv) { return sallyport::agent::Main(argc, argv); }
