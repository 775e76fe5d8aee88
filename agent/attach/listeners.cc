#include "agent/attach/listeners.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace sallyport::agent {
namespace {

absl::Status SetOption(const UniqueFd& socket, int level, int option, const char* name) {
  const int one = 1;
  if (setsockopt(socket.get(), level, option, &one, sizeof(one)) == 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot set ", name));
}

absl::Status BindLoopback(const UniqueFd& socket, int family, uint16_t port) {
  sockaddr_storage storage{};
  socklen_t length;
  if (family == AF_INET) {
    auto* const v4 = reinterpret_cast<sockaddr_in*>(&storage);
    *v4 = {.sin_family = AF_INET,
           .sin_port = htons(port),
           .sin_addr = {htonl(INADDR_LOOPBACK)},
           .sin_zero = {}};
    length = sizeof(sockaddr_in);
  } else {
    auto* const v6 = reinterpret_cast<sockaddr_in6*>(&storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    v6->sin6_addr = in6addr_loopback;
    length = sizeof(sockaddr_in6);
  }
  if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&storage), length) == 0) {
    return absl::OkStatus();
  }
  if (errno == EADDRINUSE) {
    return absl::FailedPreconditionError(
        absl::StrCat("something in the namespace holds port ", port, " of its loopback already"));
  }
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot bind port ", port));
}

absl::StatusOr<UniqueFd> OpenSocket(int family, int type) {
  UniqueFd socket(::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return absl::ErrnoToStatus(errno, "no socket can be made");
  if (family == AF_INET6) {
    RETURN_IF_ERROR(SetOption(socket, IPPROTO_IPV6, IPV6_V6ONLY, "IPV6_V6ONLY"));
  }
  return socket;
}

absl::StatusOr<UniqueFd> OpenTcpListener(int family) {
  ASSIGN_OR_RETURN(UniqueFd socket, OpenSocket(family, SOCK_STREAM));
  RETURN_IF_ERROR(SetOption(socket, SOL_SOCKET, SO_REUSEADDR, "SO_REUSEADDR"));
  RETURN_IF_ERROR(family == AF_INET
                      ? SetOption(socket, IPPROTO_IP, IP_TRANSPARENT, "IP_TRANSPARENT")
                      : SetOption(socket, IPPROTO_IPV6, IPV6_TRANSPARENT, "IPV6_TRANSPARENT"));
  RETURN_IF_ERROR(BindLoopback(socket, family, kTcpListenerPort));
  if (listen(socket.get(), kListenBacklog) != 0) return absl::ErrnoToStatus(errno, "cannot listen");
  return socket;
}

// No SO_REUSEADDR: with UDP it would let a process of the container bind the port a second time.
absl::StatusOr<UniqueFd> OpenDnsSocket(int family) {
  ASSIGN_OR_RETURN(UniqueFd socket, OpenSocket(family, SOCK_DGRAM));
  RETURN_IF_ERROR(BindLoopback(socket, family, kDnsSocketPort));
  return socket;
}

}  // namespace

std::vector<int> ContainerSockets::Descriptors() const {
  std::vector<int> descriptors;
  for (const UniqueFd* socket : {&tcp_v4, &tcp_v6, &dns_v4, &dns_v6}) {
    if (socket->valid()) descriptors.push_back(socket->get());
  }
  return descriptors;
}

absl::StatusOr<ContainerSockets> OpenListeners() {
  ContainerSockets sockets;
  ASSIGN_OR_RETURN(sockets.tcp_v4, OpenTcpListener(AF_INET));
  ASSIGN_OR_RETURN(sockets.tcp_v6, OpenTcpListener(AF_INET6));
  ASSIGN_OR_RETURN(sockets.dns_v4, OpenDnsSocket(AF_INET));
  ASSIGN_OR_RETURN(sockets.dns_v6, OpenDnsSocket(AF_INET6));
  return sockets;
}

}  // namespace sallyport::agent
