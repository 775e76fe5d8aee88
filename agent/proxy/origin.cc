#include "agent/proxy/origin.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cerrno>

namespace sallyport::proxy {

absl::StatusOr<Origin> OriginOf(int accepted_socket) {
  sockaddr_storage storage = {};
  socklen_t length = sizeof(storage);
  if (getsockname(accepted_socket, reinterpret_cast<sockaddr*>(&storage), &length) != 0) {
    return absl::ErrnoToStatus(errno, "cannot read the address that the container dialled");
  }
  Origin origin;
  origin.address = IpAddress::FromSockaddr(reinterpret_cast<const sockaddr*>(&storage));
  origin.port = storage.ss_family == AF_INET6
                    ? ntohs(reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port)
                    : ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
  return origin;
}

std::string DialledText(const Origin& origin) {
  return origin.address == IpAddress() ? "" : origin.address.ToString();
}

}  // namespace sallyport::proxy
