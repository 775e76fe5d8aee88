#include "agent/proxy/this_host.h"

#include <sys/socket.h>

#include "common/base/unique_fd.h"

namespace sallyport::proxy {
namespace {

constexpr uint16_t kAnyPort = 9;

}  // namespace

bool IsThisHost(const IpAddress& address) {
  const UniqueFd socket(
      ::socket(address.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_storage storage;
  socklen_t length = address.ToSockaddr(kAnyPort, &storage);
  auto* const name = reinterpret_cast<sockaddr*>(&storage);
  if (!socket.valid()) return true;
  // Without a route there is no connection that could end here.
  if (connect(socket.get(), name, length) != 0) return false;
  length = sizeof(storage);
  // The kernel speaks to one of its own addresses from that address.
  return getsockname(socket.get(), name, &length) == 0 && IpAddress::FromSockaddr(name) == address;
}

}  // namespace sallyport::proxy
