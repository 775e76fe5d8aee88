// `sallyport run`: the table of contents.

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "agent/attach/trust.h"
#include "cli/command.h"
#include "cli/run/audit_printer.h"
#include "cli/run/certificate_folder.h"
#include "cli/run/exit_status.h"
#include "cli/run/mounts.h"
#include "cli/run/options.h"
#include "cli/run/run_policy.h"
#include "cli/run/sandbox.h"
#include "cli/run/services.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "proto/sallyport/v1/agent.grpc.pb.h"

namespace sallyport::cli {
namespace {

constexpr std::chrono::seconds kAttachTime{20};

// What concerns the command, and is taken by this program's main loop instead of killing it.
sigset_t Awaited() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH, SIGCHLD})
    sigaddset(&set, number);
  return set;
}

absl::StatusOr<v1::AttachResponse> Attach(const Connection& agent, const RunOptions& options,
                                          const Sandbox& sandbox, const std::string& class_name,
                                          const AuditPrinter& printer) {
  v1::AttachRequest request;
  request.set_container_id(options.id);
  request.set_class_name(class_name);
  request.set_pid(sandbox.holder());
  if (options.explicit_proxy) request.mutable_explicit_proxy()->set_listen(options.listen);
  if (!options.params.fields().empty()) *request.mutable_params() = options.params;
  request.set_ephemeral(true);
  request.set_audit_path(printer.path());
  request.mutable_wait()->set_seconds(10);
  v1::AttachResponse response;
  const auto stub = v1::AgentControl::NewStub(agent.channel());
  const grpc::Status status = stub->Attach(ContextFor(kAttachTime).get(), request, &response);
  if (!status.ok())
    return absl::UnavailableError(
        StrCat("the agent does not attach the sandbox: ", status.error_message()));
  if (!response.policy_enforced())
    return absl::UnavailableError(StrCat("the policy is not enforced: ", response.pending()));
  return response;
}

absl::StatusOr<SandboxContents> ContentsFor(const v1::AttachResponse& attached,
                                            const RunOptions& options) {
  absl::StatusOr<std::string> system =
      options.origin_roots.empty() ? agent::FindSystemBundle("") : options.origin_roots;
  ASSIGN_OR_RETURN(std::string bundle, agent::MakeTrustBundle(attached.ca_certificate_pem(),
                                                              system.ok() ? *system : ""));
  return SandboxContents{attached.ca_certificate_pem(), std::move(bundle),
                         attached.explicit_proxy_url()};
}

// The folder for certificates of a command without a sandbox; goes with this object.
class TemporaryFolder {
 public:
  static absl::StatusOr<std::unique_ptr<TemporaryFolder>> Make() {
    std::error_code error;
    std::string path = std::filesystem::temp_directory_path(error) / "sallyport-run-XXXXXX";
    if (mkdtemp(path.data()) == nullptr)
      return absl::ErrnoToStatus(errno, StrCat("cannot make a folder for certificates at ", path));
    return std::unique_ptr<TemporaryFolder>(new TemporaryFolder(std::move(path)));
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  explicit TemporaryFolder(std::string path) : path_(std::move(path)) {}

  const std::string path_;
};

// Until the command has ended; its exit status.
int AwaitEnd(Sandbox* sandbox) {
  const sigset_t awaited = Awaited();
  int exit_status = 0;
  while (!sandbox->Ended(&exit_status)) {
    siginfo_t info = {};
    const int number = sigwaitinfo(&awaited, &info);
    // What the terminal sent has reached the command already: it is in the same process group.
    if (number > 0 && number != SIGCHLD && info.si_code != SI_KERNEL) sandbox->Signal(number);
  }
  return exit_status;
}

// A signal that asks to stop and came before the command was started, or 0.
int EarlySignal() {
  sigset_t stopping;
  sigemptyset(&stopping);
  for (const int number : {SIGINT, SIGQUIT, SIGTERM, SIGHUP}) sigaddset(&stopping, number);
  const timespec now = {};
  return std::max(0, sigtimedwait(&stopping, nullptr, &now));
}

// `user`: an ordinary one, who is root of this process's user namespace; absent: root.
absl::StatusOr<int> RunSandboxed(RunOptions options, std::optional<User> user) {
  InitTask task;
  task.command = options.command;
  task.environment = options.environment;
  // Both outlive the sandbox.
  std::unique_ptr<TemporaryFolder> folder;
  std::optional<CertificateFolder> mount_point;
  if (options.explicit_proxy) {
    ASSIGN_OR_RETURN(folder, TemporaryFolder::Make());
    task.certificates = folder->path();
  } else if (user.has_value()) {
    task.certificates = kOwnCertificateFolder;
  } else {
    ASSIGN_OR_RETURN(CertificateFolder made, CertificateFolder::Make(kCertificateFolder));
    mount_point.emplace(std::move(made));
    task.certificates = kCertificateFolder;
  }
  const Ownership ownership = user.has_value() ? Ownership::kUser : Ownership::kRoot;
  task.user = user;
  if (user.has_value()) task.services = LocalServices::Directory(ownership);
  // Forks, so it comes before anything that starts a thread.
  ASSIGN_OR_RETURN(
      Sandbox sandbox,
      Sandbox::Start(options.explicit_proxy ? Walls::kNone : Walls::kNamespaces, std::move(task)));

  std::unique_ptr<LocalServices> services;
  const bool agent_runs = LocalServices::Answers(options.common.agent);
  const bool control_plane_runs = LocalServices::Answers(options.common.control_plane);
  if (agent_runs != control_plane_runs) {
    return absl::FailedPreconditionError(
        agent_runs ? StrCat("an agent runs, but no control plane at ", options.common.control_plane)
                   : StrCat("a control plane runs, but no agent at ", options.common.agent));
  }
  if (!agent_runs) {
    ASSIGN_OR_RETURN(services, LocalServices::Start(options, ownership));
    options.common.agent = services->agent();
    options.common.control_plane = services->control_plane();
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<RunPolicy> policy, RunPolicy::Prepare(options));
  const AuditPrinter::Print print = !options.verbose      ? AuditPrinter::Print::kNothing
                                    : options.common.json ? AuditPrinter::Print::kJson
                                                          : AuditPrinter::Print::kText;
  ASSIGN_OR_RETURN(const std::unique_ptr<AuditPrinter> printer,
                   AuditPrinter::Start(print, options.audit_file));
  const Connection agent(Connection::Server::kAgent, options.common);
  ASSIGN_OR_RETURN(const v1::AttachResponse attached,
                   Attach(agent, options, sandbox, policy->class_name(), *printer));
  policy->Attached(options.id);
  printer->AgentHasIt();
  ASSIGN_OR_RETURN(const SandboxContents contents, ContentsFor(attached, options));

  int exit_status = 0;
  if (const int early = EarlySignal(); early != 0) {
    exit_status = kSignalled + early;
  } else {
    if (options.explicit_proxy)
      std::fprintf(stderr,
                   "sallyport run: an explicit proxy; nothing keeps a process from going "
                   "around it\n");
    RETURN_IF_ERROR(sandbox.Release(contents));
    exit_status = AwaitEnd(&sandbox);
  }
  v1::DetachRequest detach;
  detach.set_container_id(options.id);
  v1::DetachResponse detached;
  // NOT_FOUND is as good: the agent has seen the end of the sandbox itself.
  (void)v1::AgentControl::NewStub(agent.channel())->Detach(ContextFor().get(), detach, &detached);
  printer->Drain();
  return exit_status;
}

int Run(const Arguments& arguments) {
  RunOptions options = RunOptions::ParseOrExit(arguments);
  std::optional<User> user;
  // Whoever has an agent of root's to speak with needs no user namespace for a proxy.
  if (geteuid() != 0 && !(options.explicit_proxy && LocalServices::Answers(options.common.agent))) {
    user = User{geteuid(), getegid()};
    if (const absl::Status status = BecomeRootOfNamespace(*user); !status.ok()) {
      std::fprintf(stderr, "sallyport run: %s\n", std::string(status.message()).c_str());
      return kSallyportFailed;
    }
  }
  const sigset_t awaited = Awaited();
  sigprocmask(SIG_BLOCK, &awaited, nullptr);
  const absl::StatusOr<int> exit_status = RunSandboxed(std::move(options), user);
  if (exit_status.ok()) return *exit_status;
  std::fprintf(stderr, "sallyport run: %s\n", std::string(exit_status.status().message()).c_str());
  return kSallyportFailed;
}

}  // namespace

void AddRunCommand(std::vector<Command>* commands) {
  commands->push_back({"run", "Runs a command whose only way out is Sallyport.", Run});
}

}  // namespace sallyport::cli
