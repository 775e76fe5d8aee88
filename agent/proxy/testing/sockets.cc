#include "agent/proxy/testing/sockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <utility>

#include "common/base/check.h"

namespace sallyport::proxy {

Sockets UnixPair() {
  int fds[2];
  SALLYPORT_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

Sockets TcpPair() {
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  SALLYPORT_CHECK(::bind(listener.get(), generic, sizeof(address)) == 0);
  SALLYPORT_CHECK(::listen(listener.get(), 1) == 0);
  SALLYPORT_CHECK(::getsockname(listener.get(), generic, &length) == 0);
  UniqueFd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  SALLYPORT_CHECK(::connect(client.get(), generic, sizeof(address)) == 0);
  UniqueFd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  SALLYPORT_CHECK(accepted.valid());
  return {std::move(client), std::move(accepted)};
}

}  // namespace sallyport::proxy
