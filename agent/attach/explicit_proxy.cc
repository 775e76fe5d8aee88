#include "agent/attach/explicit_proxy.h"

#include <netinet/in.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "agent/attach/listeners.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/net/host.h"

namespace sallyport::agent {
namespace {

constexpr size_t kTokenBytes = 32;

struct Endpoint {
  IpAddress address;
  uint16_t port = 0;
};

std::optional<Endpoint> ParseEndpoint(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == text.npos) return std::nullopt;
  const absl::StatusOr<Host> host = Host::Parse(text.substr(0, colon));
  uint32_t port = 0;
  if (!host.ok() || !host->is_address() ||
      !absl::SimpleAtoi(ToAbsl(text.substr(colon + 1)), &port) || port > 65535) {
    return std::nullopt;
  }
  return Endpoint{host->address(), static_cast<uint16_t>(port)};
}

bool IsEveryAddress(const IpAddress& address) {
  return address == IpAddress() || address == IpAddress::FromV6Bytes({});
}

}  // namespace

absl::StatusOr<UniqueFd> OpenProxyListener(std::string_view address) {
  const std::optional<Endpoint> endpoint = ParseEndpoint(address);
  if (!endpoint.has_value() || IsEveryAddress(endpoint->address)) {
    return absl::InvalidArgumentError(
        ToAbsl(StrCat("explicit_proxy.listen: ", Quote(address),
                      " is no address to connect to; write ADDRESS:PORT, as 127.0.0.1:3128")));
  }
  sockaddr_storage storage{};
  const socklen_t length = endpoint->address.ToSockaddr(endpoint->port, &storage);
  UniqueFd socket(::socket(storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int one = 1;
  if (!socket.valid() ||
      setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0) {
    return absl::ErrnoToStatus(errno, "no socket can be made");
  }
  if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&storage), length) != 0 ||
      listen(socket.get(), kListenBacklog) != 0) {
    return absl::FailedPreconditionError(ToAbsl(
        StrCat("explicit_proxy.listen: cannot listen on ", address, ": ", std::strerror(errno))));
  }
  return socket;
}

std::string ProxyAddress(const UniqueFd& listener) {
  sockaddr_storage storage{};
  socklen_t length = sizeof(storage);
  if (getsockname(listener.get(), reinterpret_cast<sockaddr*>(&storage), &length) != 0) return "";
  const uint16_t port = storage.ss_family == AF_INET6
                            ? ntohs(reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port)
                            : ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
  const IpAddress address = IpAddress::FromSockaddr(reinterpret_cast<const sockaddr*>(&storage));
  return StrCat(address.ToUriString(), ":", port);
}

std::string NewProxyToken() {
  std::array<char, kTokenBytes> bytes;
  // Cannot be short for so few bytes once the system has started (getrandom(2)).
  SALLYPORT_CHECK(getrandom(bytes.data(), bytes.size(), 0) == kTokenBytes);
  return absl::BytesToHexString({bytes.data(), bytes.size()});
}

std::string ProxyUrl(std::string_view container_id, std::string_view token,
                     std::string_view address) {
  // The one character of an id that would end it.
  const std::string user = absl::StrReplaceAll(ToAbsl(container_id), {{":", "%3A"}});
  return StrCat("http://", user, ":", token, "@", address);
}

}  // namespace sallyport::agent
