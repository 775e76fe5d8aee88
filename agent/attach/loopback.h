// Makes every address of the world local to a namespace: what a container sends comes back in on
// its loopback.

#ifndef SALLYPORT_AGENT_ATTACH_LOOPBACK_H_
#define SALLYPORT_AGENT_ATTACH_LOOPBACK_H_

#include "absl/status/status.h"

namespace sallyport::agent {

// Where a container's connections come from. Nobody else is ever sent these addresses.
inline constexpr char kSourceV4[] = "192.0.2.2";
inline constexpr char kSourceV6[] = "fd5a::2";

// Both work on the calling thread's network namespace, and more than once on the same.

// The equivalent, and the same for IPv6, of:
//   ip link set lo up ; ip addr add 192.0.2.2/32 dev lo ; ip route add local default dev lo src
//   192.0.2.2
absl::Status MakeEveryAddressLocal();
// Takes routes and addresses away again; as much of it as can be. `lo` stays up.
void UndoMakeEveryAddressLocal();

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_ATTACH_LOOPBACK_H_
