#include "agent/attach/links.h"

#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace sallyport::agent {
namespace {

// These end in the namespace, unless the kernel says that they have an end in another.
constexpr std::array<std::string_view, 21> kKindsWithin = {
    "bareudp", "bond",    "bridge", "dummy",     "erspan", "geneve", "gre",
    "gretap",  "ifb",     "ip6gre", "ip6gretap", "ip6tnl", "ipip",   "ipvlan",
    "macsec",  "macvlan", "sit",    "veth",      "vlan",   "vrf",    "vxlan"};
// For bursts; what is lost is asked for again.
constexpr int kReceiveBytes = 64 * 1024;
// Then it is another container's turn.
constexpr int kPartsAtOnce = 16;

int TakeInfo(const nlattr* attribute, void* data) {
  Link& link = *static_cast<Link*>(data);
  if (mnl_attr_get_type(attribute) == IFLA_INFO_KIND) link.kind = mnl_attr_get_str(attribute);
  return MNL_CB_OK;
}

std::string MacOf(const nlattr* attribute) {
  if (mnl_attr_get_payload_len(attribute) != 6) return "";
  const auto* const bytes = static_cast<const unsigned char*>(mnl_attr_get_payload(attribute));
  char text[18];
  std::snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2],
                bytes[3], bytes[4], bytes[5]);
  return text;
}

int TakeAttribute(const nlattr* attribute, void* data) {
  Link& link = *static_cast<Link*>(data);
  switch (mnl_attr_get_type(attribute)) {
    case IFLA_IFNAME:
      link.name = mnl_attr_get_str(attribute);
      break;
    case IFLA_ADDRESS:
      link.mac = MacOf(attribute);
      break;
    case IFLA_LINK:
      link.peer = static_cast<int>(mnl_attr_get_u32(attribute));
      break;
    case IFLA_LINK_NETNSID:
      link.peer_namespace = static_cast<int>(mnl_attr_get_u32(attribute));
      break;
    case IFLA_LINKINFO:
      mnl_attr_parse_nested(attribute, TakeInfo, &link);
      break;
    default:
      break;
  }
  return MNL_CB_OK;
}

Link LinkOf(const nlmsghdr* message) {
  Link link;
  const auto* const head = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
  link.index = head->ifi_index;
  link.loopback = (head->ifi_flags & IFF_LOOPBACK) != 0;
  link.gone = message->nlmsg_type == RTM_DELLINK;
  mnl_attr_parse(message, sizeof(ifinfomsg), TakeAttribute, &link);
  return link;
}

bool IsLink(const nlmsghdr* message) {
  return message->nlmsg_type == RTM_NEWLINK || message->nlmsg_type == RTM_DELLINK;
}

ifinfomsg* PutLinkHead(nlmsghdr* message, int index) {
  auto* const head =
      static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ifinfomsg)));
  head->ifi_family = AF_UNSPEC;
  head->ifi_index = index;
  return head;
}

int TakeNumber(const nlattr* attribute, void* data) {
  if (mnl_attr_get_type(attribute) == NETNSA_NSID) {
    *static_cast<int*>(data) = static_cast<int>(mnl_attr_get_u32(attribute));
  }
  return MNL_CB_OK;
}

nlmsghdr* BeginNumber(RouteSocket* socket, uint16_t type, const NetworkNamespace& other) {
  nlmsghdr* const message = socket->Begin(type, 0);
  auto* const head = static_cast<rtgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(rtgenmsg)));
  head->rtgen_family = AF_UNSPEC;
  mnl_attr_put_u32(message, NETNSA_FD, static_cast<uint32_t>(other.fd().get()));
  return message;
}

absl::StatusOr<int> AskForNumber(RouteSocket* socket, nlmsghdr* question) {
  int number = kNoNumber;
  RETURN_IF_ERROR(socket->Ask(question, [&number](const nlmsghdr* part) {
    if (part->nlmsg_type == RTM_NEWNSID) {
      mnl_attr_parse(part, sizeof(rtgenmsg), TakeNumber, &number);
    }
  }));
  return number;
}

absl::Status Delete(RouteSocket* socket, int index) {
  nlmsghdr* const message = socket->Begin(RTM_DELLINK, 0);
  PutLinkHead(message, index);
  return socket->Exchange(message);
}

// What cannot be deleted, as hardware, goes where it came from.
absl::Status DeleteOrReturn(RouteSocket* socket, const Link& link, const NetworkNamespace& host) {
  absl::Status deleted = Delete(socket, link.index);
  if (deleted.ok() || !link.kind.empty()) return deleted;
  nlmsghdr* const message = socket->Begin(RTM_NEWLINK, 0);
  PutLinkHead(message, link.index);
  mnl_attr_put_u32(message, IFLA_NET_NS_FD, static_cast<uint32_t>(host.fd().get()));
  return socket->Exchange(message);
}

}  // namespace

bool Link::MayLeadOut(int host) const {
  if (loopback) return false;
  if (peer_namespace.has_value()) return host != kNoNumber && *peer_namespace == host;
  return std::ranges::find(kKindsWithin, kind) == kKindsWithin.end();
}

absl::StatusOr<int> GiveNumber(const NetworkNamespace& other) {
  ASSIGN_OR_RETURN(RouteSocket socket, RouteSocket::Open());
  nlmsghdr* const give = BeginNumber(&socket, RTM_NEWNSID, other);
  mnl_attr_put_u32(give, NETNSA_NSID, static_cast<uint32_t>(kNoNumber));
  if (absl::Status given = socket.Exchange(give); !given.ok() && !absl::IsAlreadyExists(given))
    return given;
  return AskForNumber(&socket, BeginNumber(&socket, RTM_GETNSID, other));
}

absl::StatusOr<int> NumberOf(const NetworkNamespace& other) {
  ASSIGN_OR_RETURN(RouteSocket socket, RouteSocket::Open());
  return AskForNumber(&socket, BeginNumber(&socket, RTM_GETNSID, other));
}

absl::StatusOr<int> NumberWithin(int inside, const NetworkNamespace& other) {
  ASSIGN_OR_RETURN(RouteSocket socket, RouteSocket::Open());
  nlmsghdr* const question = BeginNumber(&socket, RTM_GETNSID, other);
  mnl_attr_put_u32(question, NETNSA_TARGET_NSID, static_cast<uint32_t>(inside));
  return AskForNumber(&socket, question);
}

absl::StatusOr<UniqueFd> OpenLinkEvents() {
  UniqueFd events(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  const sockaddr_nl address = {
      .nl_family = AF_NETLINK, .nl_pad = 0, .nl_pid = 0, .nl_groups = RTMGRP_LINK};
  if (!events.valid() ||
      bind(events.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return absl::ErrnoToStatus(errno, "the namespace's interfaces cannot be watched");
  }
  setsockopt(events.get(), SOL_SOCKET, SO_RCVBUF, &kReceiveBytes, sizeof(kReceiveBytes));
  return events;
}

absl::Status AskForLinks(const UniqueFd& events) {
  alignas(nlmsghdr) std::array<char, 64> buffer;
  nlmsghdr* const message = mnl_nlmsg_put_header(buffer.data());
  message->nlmsg_type = RTM_GETLINK;
  message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  PutLinkHead(message, 0);
  // EBUSY: a dump is under way, which is as good.
  if (send(events.get(), message, message->nlmsg_len, 0) >= 0 || errno == EBUSY)
    return absl::OkStatus();
  return absl::ErrnoToStatus(errno, "the namespace's interfaces cannot be listed");
}

absl::Status ReadLinkEvents(const UniqueFd& events, const std::function<void(const Link&)>& take) {
  alignas(nlmsghdr) std::array<char, 16 * 1024> buffer;
  for (int part = 0; part < kPartsAtOnce; ++part) {
    const ssize_t count = recv(events.get(), buffer.data(), buffer.size(), 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return absl::OkStatus();
    if (count < 0 && errno == ENOBUFS) return absl::ResourceExhaustedError("events were lost");
    if (count < 0)
      return absl::ErrnoToStatus(errno, "the namespace's interfaces cannot be watched");
    int left = static_cast<int>(count);
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data());
         mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
      if (IsLink(message)) take(LinkOf(message));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Link>> ListLinks(RouteSocket* socket) {
  nlmsghdr* const message = socket->Begin(RTM_GETLINK, NLM_F_DUMP);
  PutLinkHead(message, 0);
  std::vector<Link> links;
  RETURN_IF_ERROR(socket->Ask(message, [&links](const nlmsghdr* part) {
    if (IsLink(part)) links.push_back(LinkOf(part));
  }));
  return links;
}

absl::Status DeleteLink(int index) {
  ASSIGN_OR_RETURN(RouteSocket socket, RouteSocket::Open());
  return Delete(&socket, index);
}

absl::Status RemoveLink(const NetworkNamespace& inside, const NetworkNamespace& host,
                        const Link& link) {
  if (link.kind == "veth" && link.peer_namespace.has_value()) {
    // By its end on the host, wherever the other has been taken to meanwhile.
    return DeleteLink(link.peer);
  }
  return inside.Run([&]() -> absl::Status {
    ASSIGN_OR_RETURN(RouteSocket socket, RouteSocket::Open());
    return DeleteOrReturn(&socket, link, host);
  });
}

}  // namespace sallyport::agent
