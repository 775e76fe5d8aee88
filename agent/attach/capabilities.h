// What a container's processes may do to the network outside of their namespace.

#ifndef SALLYPORT_AGENT_ATTACH_CAPABILITIES_H_
#define SALLYPORT_AGENT_ATTACH_CAPABILITIES_H_

#include <sys/types.h>

#include "absl/status/statusor.h"

namespace sallyport::agent {

// Whether the process, or a program that it starts, may have CAP_NET_ADMIN in the user namespace of
// this one (capabilities(7)): then it administers any network namespace that its own has a number
// for (links.h). NOT_FOUND: there is no such process.
absl::StatusOr<bool> MayAdministerNetworks(pid_t pid);

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_ATTACH_CAPABILITIES_H_
