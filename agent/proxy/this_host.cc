#include "agent/proxy/this_host.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

#include "common/base/unique_fd.h"

namespace sallyport::proxy {
namespace {

// RTM_GETROUTE for one address (rtnetlink(7)).
struct RouteRequest {
  nlmsghdr header;
  rtmsg route;
  rtattr attribute;
  std::array<uint8_t, 16> address;
};

RouteRequest RouteTo(const IpAddress& address) {
  sockaddr_storage storage;
  address.ToSockaddr(0, &storage);
  RouteRequest request{};
  const void* bytes = &reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_addr;
  size_t size = sizeof(in6_addr);
  if (address.is_v4()) {
    bytes = &reinterpret_cast<const sockaddr_in*>(&storage)->sin_addr;
    size = sizeof(in_addr);
  }
  std::memcpy(request.address.data(), bytes, size);
  request.attribute.rta_type = RTA_DST;
  request.attribute.rta_len = static_cast<uint16_t>(RTA_LENGTH(size));
  request.route.rtm_family = address.is_v4() ? AF_INET : AF_INET6;
  request.route.rtm_dst_len = static_cast<uint8_t>(size * 8);
  request.header.nlmsg_type = RTM_GETROUTE;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  thread_local uint32_t last = 0;
  request.header.nlmsg_seq = ++last;
  request.header.nlmsg_len = static_cast<uint32_t>(NLMSG_LENGTH(sizeof(rtmsg)) + RTA_SPACE(size));
  return request;
}

}  // namespace

bool IsThisHost(const IpAddress& address) {
  // Nothing is ever left in it: the kernel answers within the call.
  thread_local UniqueFd socket;
  if (!socket.valid())
    socket = UniqueFd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket.valid()) return true;
  const RouteRequest request = RouteTo(address);
  alignas(nlmsghdr) std::array<char, 4096> answer;
  ssize_t count = send(socket.get(), &request, request.header.nlmsg_len, 0);
  if (count > 0) count = recv(socket.get(), answer.data(), answer.size(), MSG_DONTWAIT);
  const auto* const header = reinterpret_cast<const nlmsghdr*>(answer.data());
  if (count < static_cast<ssize_t>(NLMSG_LENGTH(sizeof(rtmsg))) ||
      header->nlmsg_seq != request.header.nlmsg_seq) {
    socket.Reset();
    return true;
  }
  // Without a route there is no connection that could end here.
  if (header->nlmsg_type == NLMSG_ERROR) return false;
  return static_cast<const rtmsg*>(NLMSG_DATA(header))->rtm_type == RTN_LOCAL;
}

}  // namespace sallyport::proxy
