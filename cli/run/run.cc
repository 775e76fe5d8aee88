// `sallyport run`: the table of contents.

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>

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
  return SandboxContents{attached.ca_certificate_pem(), std::move(bundle)};
}

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

absl::StatusOr<int> RunSandboxed(RunOptions options) {
  // Outlives the sandbox.
  ASSIGN_OR_RETURN(const CertificateFolder folder, CertificateFolder::Make(kCertificateFolder));
  // Forks, so it comes before anything that starts a thread.
  ASSIGN_OR_RETURN(Sandbox sandbox, Sandbox::Start(options.command, options.environment));

  std::unique_ptr<LocalServices> services;
  const bool agent_runs = LocalServices::Answers(options.common.agent);
  const bool control_plane_runs = LocalServices::Answers(options.common.control_plane);
  if (agent_runs != control_plane_runs) {
    return absl::FailedPreconditionError(
        agent_runs ? StrCat("an agent runs, but no control plane at ", options.common.control_plane)
                   : StrCat("a control plane runs, but no agent at ", options.common.agent));
  }
  if (!agent_runs) {
    ASSIGN_OR_RETURN(services, LocalServices::Start(options));
    options.common.agent = services->agent();
    options.common.control_plane = services->control_plane();
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<RunPolicy> policy,
                   RunPolicy::Prepare(options, options.common.control_plane));
  const AuditPrinter::Print print = !options.verbose      ? AuditPrinter::Print::kNothing
                                    : options.common.json ? AuditPrinter::Print::kJson
                                                          : AuditPrinter::Print::kText;
  ASSIGN_OR_RETURN(const std::unique_ptr<AuditPrinter> printer,
                   AuditPrinter::Start(print, options.audit_file));
  const Connection agent(Connection::Server::kAgent, options.common);
  ASSIGN_OR_RETURN(const v1::AttachResponse attached,
                   Attach(agent, options, sandbox, policy->class_name(), *printer));
  printer->AgentHasIt();
  ASSIGN_OR_RETURN(const SandboxContents contents, ContentsFor(attached, options));

  int exit_status = 0;
  if (const int early = EarlySignal(); early != 0) {
    exit_status = kSignalled + early;
  } else {
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
  if (geteuid() != 0) {
    std::fprintf(stderr,
                 "sallyport run: making a sandbox needs root; try `sudo sallyport run …`\n");
    return kSallyportFailed;
  }
  const sigset_t awaited = Awaited();
  sigprocmask(SIG_BLOCK, &awaited, nullptr);
  const absl::StatusOr<int> exit_status = RunSandboxed(std::move(options));
  if (exit_status.ok()) return *exit_status;
  std::fprintf(stderr, "sallyport run: %s\n", std::string(exit_status.status().message()).c_str());
  return kSallyportFailed;
}

}  // namespace

void AddRunCommand(std::vector<Command>* commands) {
  commands->push_back({"run", "Runs a command whose only way out is Sallyport.", Run});
}

}  // namespace sallyport::cli
