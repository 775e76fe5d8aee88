// The sockets that serve one container, made inside its network namespace.

#ifndef SALLYPORT_AGENT_ATTACH_LISTENERS_H_
#define SALLYPORT_AGENT_ATTACH_LISTENERS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {

// Loopback ports inside the container's namespace.
inline constexpr uint16_t kTcpListenerPort = 15001;
inline constexpr uint16_t kDnsSocketPort = 15053;

// Connections that wait while the proxy restarts. The kernel's net.core.somaxconn may lower it.
inline constexpr int kListenBacklog = 4096;

// Non-blocking. Connections accepted from the TCP listeners have the address that the container
// dialled as their local address. Each socket keeps the namespace alive. An explicit proxy
// (explicit_proxy.h) has one listener, of either family, in the place of `tcp_v4`.
struct ContainerSockets {
  UniqueFd tcp_v4;
  UniqueFd tcp_v6;
  UniqueFd dns_v4;
  UniqueFd dns_v6;

  // Those that are there, in this order.
  std::vector<int> Descriptors() const;
};

// In the calling thread's network namespace. FAILED_PRECONDITION if a port is taken.
absl::StatusOr<ContainerSockets> OpenListeners();

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_ATTACH_LISTENERS_H_
