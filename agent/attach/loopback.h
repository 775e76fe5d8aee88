// Makes every address of the world local to a namespace: what a container sends comes back in on
// its loopback.

#ifndef SALLYPORT_AGENT_ATTACH_LOOPBACK_H_
#define SALLYPORT_AGENT_ATTACH_LOOPBACK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace sallyport::agent {

// Where a container's connections come from. Nobody else is ever sent these addresses.
inline constexpr char kSourceV4[] = "192.0.2.2";
inline constexpr char kSourceV6[] = "fd5a::2";

// Of a namespace's own interfaces, without `lo`.
struct OwnAddresses {
  std::vector<std::string> v4;
  std::vector<std::string> v6;
};
// Of packets that come in by these interfaces, and of the answers to them.
inline constexpr uint32_t kReplyMark = 0x5a11;

// All work on the calling thread's network namespace, and more than once on the same.

// The equivalent, and the same for IPv6, of:
//   ip link set lo up ; ip addr add 192.0.2.2/32 dev lo ; ip route add local default dev lo src
//   192.0.2.2
absl::Status MakeEveryAddressLocal();
// For a namespace with interfaces of its own: what the container begins comes back in on `lo`, with
// its first own address as the source; what answers what came in goes its ordinary way. It is the
// mark that tells:
//   ip rule add pref 100 fwmark 0x5a11 lookup main ; ip rule add pref 101 lookup 15001
//   ip route add table 15001 local default dev lo src ADDRESS
// Nothing is undone after an error.
absl::Status MakeWhatBeginsHereLocal(const OwnAddresses& own);
// Takes routes and addresses away again; as much of it as can be. `lo` stays up.
void UndoMakeEveryAddressLocal();

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_ATTACH_LOOPBACK_H_
