// sallyport-oci-hook: called by container runtimes as containers come and go.

#include <fcntl.h>
#include <grp.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "agent/attach/oci/annotations.h"
#include "agent/attach/oci/call_agent.h"
#include "agent/attach/oci/container_root.h"
#include "agent/attach/oci/hook_input.h"
#include "agent/attach/oci/image_annotations.h"
#include "agent/attach/oci/place_trust.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/base/unique_fd.h"
#include "common/flags/flags.h"
#include "proto/sallyport/v1/agent.pb.h"

namespace sallyport::agent {
namespace {

using Clock = std::chrono::steady_clock;

constexpr char kSummary[] =
    "A hook of OCI runtimes. Containers with the annotation sallyport.class=NAME are attached to "
    "this host's agent before\ntheir first process runs, or do not start. Reads on stdin what "
    "runtimes write there, and tells the stage by it:\ncreateRuntime, poststop, and podman's "
    "precreate, which prints the changed configuration. docs/containers.md says how to\nset it up.";
constexpr size_t kMaxInput = 16 << 20;
// Of the time that a start may be delayed, what is left for the files after the policy was waited
// for.
constexpr std::chrono::milliseconds kTimeForFiles{500};

struct Options {
  std::string agent = "unix:/run/sallyport/agent.sock";
  std::chrono::milliseconds timeout{5'000};

  std::string socket_path() const { return agent.substr(std::strlen("unix:")); }
};

absl::StatusOr<std::string> ReadText(const UniqueFd& file, std::string_view name) {
  std::string text;
  char buffer[64 * 1024];
  for (;;) {
    const ssize_t count = read(file.get(), buffer, sizeof(buffer));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return absl::ErrnoToStatus(errno, StrCat("cannot read ", name));
    if (count == 0) return text;
    text.append(buffer, static_cast<size_t>(count));
    if (text.size() > kMaxInput) return absl::InvalidArgumentError(StrCat(name, " is too large"));
  }
}

// The container has its policy when this returns, or is not attached.
absl::StatusOr<std::string> Attach(const Options& options, const AttachAnnotations& annotations,
                                   pid_t pid, Clock::time_point deadline) {
  v1::AttachRequest request;
  request.set_container_id(annotations.container_id);
  request.set_class_name(annotations.class_name);
  request.set_pid(pid);
  request.set_ephemeral(annotations.made_up_id);
  request.set_routed(annotations.routed);
  if (!annotations.params.fields().empty()) *request.mutable_params() = annotations.params;
  const auto wait = std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::max<Clock::duration>(Clock::duration(0), deadline - kTimeForFiles * 2 - Clock::now()));
  request.mutable_wait()->set_seconds(wait.count() / 1'000'000'000);
  request.mutable_wait()->set_nanos(static_cast<int32_t>(wait.count() % 1'000'000'000));
  v1::AttachResponse response;
  RETURN_IF_ERROR(
      CallAgent(options.socket_path(), "Attach", request, &response, deadline - kTimeForFiles));
  // Attached it reaches nothing; but a program that starts without its policy looks broken.
  if (!response.policy_enforced())
    return absl::UnavailableError(StrCat("its policy is not in force: ", response.pending()));
  return response.ca_certificate_pem();
}

absl::Status OnCreateRuntime(const Options& options, const HookInput& input,
                             Clock::time_point deadline) {
  ASSIGN_OR_RETURN(const AttachAnnotations annotations,
                   ReadAnnotations(input.annotations, input.id));
  RETURN_IF_ERROR(CheckImageAnnotations(input.id, input.bundle));
  const UniqueFd file(open((input.bundle + "/config.json").c_str(), O_RDONLY | O_CLOEXEC));
  ASSIGN_OR_RETURN(const std::string config, ReadText(file, "the bundle's config.json"));
  if (IsPodmanBundle(input.id, input.bundle)) RETURN_IF_ERROR(CheckNetworkIsFinal(config));
  if (annotations.routed) RETURN_IF_ERROR(CheckMayBeRouted(config));
  ASSIGN_OR_RETURN(const std::string rootfs, RootPathOf(config, input.bundle));
  ASSIGN_OR_RETURN(const std::string ca_certificate,
                   Attach(options, annotations, input.pid, deadline));
  if (!annotations.trust) return absl::OkStatus();
  ASSIGN_OR_RETURN(const ContainerRoot root, ContainerRoot::Enter(input.pid, rootfs));
  PlaceResolvConf(root);
  absl::Status placed = PlaceTrust(root, ca_certificate);
  if (placed.ok()) return placed;
  return absl::Status(placed.code(),
                      absl::StrCat(placed.message(),
                                   "; with the annotation sallyport.trust=none the container "
                                   "starts without the certificates"));
}

// The agent sees the end by itself. Whoever removes the container may start the next one of its id.
absl::Status OnPoststop(const Options& options, const HookInput& input,
                        Clock::time_point deadline) {
  const absl::StatusOr<AttachAnnotations> annotations =
      ReadAnnotations(input.annotations, input.id);
  if (!annotations.ok()) return absl::OkStatus();  // It was never attached.
  v1::DetachRequest request;
  request.set_container_id(annotations->container_id);
  request.set_only_if_ended(true);
  v1::DetachResponse response;
  absl::Status status = CallAgent(options.socket_path(), "Detach", request, &response, deadline);
  // It is gone already, or the id is another's by now.
  if (absl::IsNotFound(status) || absl::IsFailedPrecondition(status)) return absl::OkStatus();
  return status;
}

// podman drops what a hook of this stage says, so nothing is refused here: what is wrong with the
// annotations is said at createRuntime.
absl::Status OnPrecreate(const std::string& config, const HookInput& input) {
  const absl::StatusOr<AttachAnnotations> annotations = ReadAnnotations(input.annotations, "-");
  std::string changed = config;
  if (annotations.ok() && annotations->trust) {
    ASSIGN_OR_RETURN(changed, AddTrustVariables(config));
  }
  if (std::fwrite(changed.data(), 1, changed.size(), stdout) != changed.size() ||
      std::fflush(stdout) != 0)
    return absl::ErrnoToStatus(errno, "cannot write the configuration");
  return absl::OkStatus();
}

absl::Status Run(const Options& options) {
  const Clock::time_point deadline = Clock::now() + options.timeout;
  ASSIGN_OR_RETURN(const std::string text, ReadText(UniqueFd(dup(STDIN_FILENO)), "stdin"));
  ASSIGN_OR_RETURN(const HookInput input, ParseHookInput(text));
  switch (input.stage) {
    case HookStage::kPrecreate:
      return OnPrecreate(text, input);
    case HookStage::kCreateRuntime:
      return OnCreateRuntime(options, input, deadline);
    case HookStage::kPoststop:
      return OnPoststop(options, input, deadline);
  }
  return absl::InternalError("an unknown stage");
}

// Whatever it waits for: a disk, an agent, a runtime that keeps stdin open.
void EndAfter(std::chrono::milliseconds timeout) {
  std::signal(SIGALRM, [](int) {
    constexpr char kMessage[] = "sallyport-oci-hook: gave up, it took too long (--timeout)\n";
    (void)!write(STDERR_FILENO, kMessage, sizeof(kMessage) - 1);
    _exit(EXIT_FAILURE);
  });
  const auto count = timeout.count();
  const itimerval timer = {.it_interval = {},
                           .it_value = {.tv_sec = count / 1000, .tv_usec = count % 1000 * 1000}};
  setitimer(ITIMER_REAL, &timer, nullptr);
}

int Main(const std::vector<std::string>& arguments) {
  Options options;
  FlagSet flags("sallyport-oci-hook", kSummary);
  flags.set_example("sallyport-oci-hook < config.json > config-with-variables.json");
  flags.String("agent", &options.agent, "ADDRESS", "The agent's socket, as unix:/PATH.");
  flags.Duration("timeout", &options.timeout, "DURATION",
                 "Give up, and so keep the container from starting, after so long.");
  flags.ParseOrExit(arguments);
  if (options.agent.rfind("unix:/", 0) != 0 || options.timeout < kTimeForFiles * 4) {
    std::fprintf(stderr, "sallyport-oci-hook: --agent must be unix:/PATH, --timeout 2s or more\n");
    return 2;
  }
  EndAfter(options.timeout);
  setgroups(0, nullptr);
  const absl::Status status = Run(options);
  if (status.ok()) return EXIT_SUCCESS;
  std::fprintf(stderr, "sallyport-oci-hook: %s\n", std::string(status.message()).c_str());
  return EXIT_FAILURE;
}

}  // namespace
}  // namespace sallyport::agent

int main(int argc, char** argv) { return sallyport::agent::Main({argv + 1, argv + argc}); }
