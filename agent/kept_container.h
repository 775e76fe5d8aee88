// An attached container as one agent keeps it for the next.

#ifndef SALLYPORT_AGENT_KEPT_CONTAINER_H_
#define SALLYPORT_AGENT_KEPT_CONTAINER_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/attach/netns.h"
#include "agent/keep/fd_store.h"
#include "agent/proxy_supervisor.h"

namespace sallyport::agent {

struct KeptContainer {
  std::string kept_as;  // See KeptNames.
  std::shared_ptr<const ProxyContainer> served;
  std::string class_name;
  NamespaceId network;  // That of nothing: an explicit proxy.
  pid_t pid = 0;
  UniqueFd process;  // Invalid: attached by path, or without a process.
  bool ephemeral = false;
};

// Never 0, and never the same twice.
uint64_t NewInstance();

absl::Status KeepContainer(const FdStore& store, const KeptContainer& container);

// INVALID_ARGUMENT if the parcel is of something else.
absl::StatusOr<KeptContainer> ReadContainer(const std::string& name, Parcel parcel);

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_KEPT_CONTAINER_H_
