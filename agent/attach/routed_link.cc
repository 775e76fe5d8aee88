#include "agent/attach/routed_link.h"

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <map>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "agent/attach/links.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::agent {
namespace {

struct Found {
  OwnAddresses addresses;
  std::vector<std::string> link_local;
};

int TakeAddress(const nlattr* attribute, void* data) {
  const uint16_t type = mnl_attr_get_type(attribute);
  // IFA_LOCAL, if there is one, comes second: of two ends of a pair it is this one's.
  if (type == IFA_ADDRESS || type == IFA_LOCAL) *static_cast<const nlattr**>(data) = attribute;
  return MNL_CB_OK;
}

void TakeMessage(const nlmsghdr* message, std::map<int, Found>* found) {
  if (message->nlmsg_type != RTM_NEWADDR) return;
  const auto* const head = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
  const nlattr* address = nullptr;
  mnl_attr_parse(message, sizeof(ifaddrmsg), TakeAddress, static_cast<void*>(&address));
  char text[INET6_ADDRSTRLEN];
  if (address == nullptr ||
      inet_ntop(head->ifa_family, mnl_attr_get_payload(address), text, sizeof(text)) == nullptr) {
    return;
  }
  Found& of = (*found)[static_cast<int>(head->ifa_index)];
  if (head->ifa_family == AF_INET) {
    of.addresses.v4.emplace_back(text);
  } else if (head->ifa_scope == RT_SCOPE_LINK) {
    of.link_local.emplace_back(text);
  } else {
    of.addresses.v6.emplace_back(text);
  }
}

absl::StatusOr<std::map<int, Found>> ListAddresses(RouteSocket* socket) {
  nlmsghdr* const message = socket->Begin(RTM_GETADDR, NLM_F_DUMP);
  auto* const head =
      static_cast<ifaddrmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ifaddrmsg)));
  head->ifa_family = AF_UNSPEC;
  std::map<int, Found> found;
  RETURN_IF_ERROR(
      socket->Ask(message, [&found](const nlmsghdr* part) { TakeMessage(part, &found); }));
  return found;
}

// It is written into rules.
bool IsPlain(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_' || c == '.' ||
           c == '@';
  });
}

absl::StatusOr<RoutedLink> RoutedLinkOf(const Link& link, int host) {
  char name[IF_NAMESIZE];
  if (link.kind != "veth" || link.peer_namespace != host ||
      if_indextoname(static_cast<unsigned>(link.peer), name) == nullptr) {
    return absl::FailedPreconditionError(StrCat("the namespace's interface ", Quote(link.name),
                                                " is not a veth pair whose other end is on this "
                                                "host, so what it sends cannot be held there; "
                                                "routed mode is for podman's bridge networks"));
  }
  if (!IsPlain(name)) {
    return absl::FailedPreconditionError(
        StrCat("the interface ", Quote(name), " has a name that rules cannot have"));
  }
  RoutedLink routed;
  routed.index = link.peer;
  routed.name = name;
  routed.mac = link.mac;
  return routed;
}

}  // namespace

absl::StatusOr<std::vector<RoutedLink>> FindRoutedLinks(const NetworkNamespace& inside,
                                                        const NetworkNamespace& host) {
  std::vector<Link> links;
  std::map<int, Found> found;
  int number = kNoNumber;
  RETURN_IF_ERROR(inside.Run([&]() -> absl::Status {
    ASSIGN_OR_RETURN(RouteSocket socket, RouteSocket::Open());
    ASSIGN_OR_RETURN(links, ListLinks(&socket));
    ASSIGN_OR_RETURN(number, NumberOf(host));
    ASSIGN_OR_RETURN(found, ListAddresses(&socket));
    return absl::OkStatus();
  }));
  std::vector<RoutedLink> routed;
  for (const Link& link : links) {
    if (link.loopback) continue;
    ASSIGN_OR_RETURN(RoutedLink one, RoutedLinkOf(link, number));
    one.addresses = found[link.index].addresses;
    one.link_local = found[link.index].link_local;
    routed.push_back(std::move(one));
  }
  if (routed.empty()) {
    return absl::FailedPreconditionError(
        "the namespace has no network of its own, so there is nothing to route; leave routed mode "
        "out");
  }
  return routed;
}

OwnAddresses AddressesOf(const std::vector<RoutedLink>& links) {
  OwnAddresses all;
  for (const RoutedLink& link : links) {
    all.v4.insert(all.v4.end(), link.addresses.v4.begin(), link.addresses.v4.end());
    all.v6.insert(all.v6.end(), link.addresses.v6.begin(), link.addresses.v6.end());
  }
  return all;
}

}  // namespace sallyport::agent
