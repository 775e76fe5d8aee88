// What a container runtime writes on a hook's stdin.

#ifndef SALLYPORT_AGENT_ATTACH_OCI_HOOK_INPUT_H_
#define SALLYPORT_AGENT_ATTACH_OCI_HOOK_INPUT_H_

#include <sys/types.h>

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "agent/attach/oci/annotations.h"

namespace sallyport::agent {

// The stage is told by what is there: a state (runtime-spec, "State") of a container that is being
// created or has stopped, or the configuration of one that is about to be created, which podman
// hands to hooks of its stage `precreate`.
enum class HookStage { kPrecreate, kCreateRuntime, kPoststop };

struct HookInput {
  HookStage stage;
  Annotations annotations;
  // Of a state.
  std::string id;
  pid_t pid = 0;       // kCreateRuntime: what will be the container's first process.
  std::string bundle;  // The folder with config.json.
};

// INVALID_ARGUMENT if it is neither.
absl::StatusOr<HookInput> ParseHookInput(std::string_view json);

// Of a config.json of podman's: FAILED_PRECONDITION if podman may give the container its network
// later. It does so for containers with a user namespace, when its hooks have run: at createRuntime
// their network namespace has nothing but `lo`, whatever it is going to have.
absl::Status CheckNetworkIsFinal(std::string_view config_json);

// Of a config.json: FAILED_PRECONDITION if the container's programs may have CAP_NET_ADMIN. An
// interface whose other end is on the host has a number for the host's network namespace inside,
// and by it that capability reaches the host's interfaces (agent/attach/links.h).
absl::Status CheckMayBeRouted(std::string_view config_json);

// Of a config.json: where the container's root file system is on the host, absolute.
absl::StatusOr<std::string> RootPathOf(std::string_view config_json, const std::string& bundle);

// A config.json with the variables of trust.h in its process's environment, all but those that are
// set there already.
absl::StatusOr<std::string> AddTrustVariables(std::string_view config_json);

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_ATTACH_OCI_HOOK_INPUT_H_
