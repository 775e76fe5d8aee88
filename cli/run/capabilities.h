// What root may do inside a sandbox.

#ifndef SALLYPORT_CLI_RUN_CAPABILITIES_H_
#define SALLYPORT_CLI_RUN_CAPABILITIES_H_

#include "absl/status/status.h"

namespace sallyport::cli {

// Leaves this process and its children what container engines leave by default (without mknod), and
// CAP_NET_ADMIN and CAP_NET_RAW: root in the sandbox may do to its own network what it likes. No
// way to other namespaces, to mounts, or to other processes' memory.
absl::Status LimitCapabilities();

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_RUN_CAPABILITIES_H_
