// The network interfaces of a namespace: what there is, what comes, and taking one away.

#ifndef SALLYPORT_AGENT_ATTACH_LINKS_H_
#define SALLYPORT_AGENT_ATTACH_LINKS_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/attach/netns.h"
#include "agent/attach/route_socket.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {

struct Link {
  int index = 0;
  std::string name;
  std::string kind;  // "veth", "macvlan", …; empty: hardware, or the loopback.
  std::string mac;   // "02:00:00:00:00:01", as it is now.
  bool loopback = false;
  bool gone = false;  // Of an event: deleted, or moved to another namespace.
  // The other end, or the interface below, if that is in another namespace: its index there, and
  // the number that the namespace has for the other one.
  int peer = 0;
  std::optional<int> peer_namespace;

  // False for one that leads to interfaces of its own namespace alone, or to a namespace that is
  // not the host's: one that the container made within. `host`: the number that the namespace has
  // for the host's, or kNoNumber.
  bool MayLeadOut(int host) const;
};

// Namespaces have numbers for others (NETNSA_NSID), which the kernel gives as well when an
// interface has its other end there. By a number whoever has CAP_NET_ADMIN over both of them acts
// in the other one (IFLA_TARGET_NETNSID, IFLA_LINK_NETNSID): nothing here gives the host's one
// inside.
constexpr int kNoNumber = -1;

// Gives `other` a number in the calling thread's namespace, if it has none.
absl::StatusOr<int> GiveNumber(const NetworkNamespace& other);
// That the calling thread's namespace has for `other`, or kNoNumber.
absl::StatusOr<int> NumberOf(const NetworkNamespace& other);
// That `inside` has for `other`, or kNoNumber; asked from the calling thread's namespace, which has
// the number `inside` for the one.
absl::StatusOr<int> NumberWithin(int inside, const NetworkNamespace& other);

// Readable when an interface of the calling thread's namespace was added, changed or removed.
absl::StatusOr<UniqueFd> OpenLinkEvents();
// Has it report all that there is. OK although the answer is not there yet.
absl::Status AskForLinks(const UniqueFd& events);
// Calls `take` for what is there to be read, or a part of it. RESOURCE_EXHAUSTED: events were lost.
absl::Status ReadLinkEvents(const UniqueFd& events, const std::function<void(const Link&)>& take);

// Of the socket's namespace.
absl::StatusOr<std::vector<Link>> ListLinks(RouteSocket* socket);

// Takes away an interface of `inside` that may lead out. NOT_FOUND: it is not there any more.
absl::Status RemoveLink(const NetworkNamespace& inside, const NetworkNamespace& host,
                        const Link& link);
// Deletes one of the calling thread's namespace.
absl::Status DeleteLink(int index);

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_ATTACH_LINKS_H_
