// The interfaces by which a container has a network of its own (routed mode).

#ifndef SALLYPORT_AGENT_ATTACH_ROUTED_LINK_H_
#define SALLYPORT_AGENT_ATTACH_ROUTED_LINK_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/attach/loopback.h"
#include "agent/attach/netns.h"

namespace sallyport::agent {

// A veth pair with one end in the container and one on the host.
struct RoutedLink {
  // Of the host's end. The index stands for this pair alone; the name may be another's once the
  // pair is gone.
  int index = 0;
  std::string name;
  // Of the container's end.
  std::string mac;
  OwnAddresses addresses;
  std::vector<std::string> link_local;
};

// All interfaces of `inside` but the loopback. FAILED_PRECONDITION if there is none, or one that is
// not such a pair: what it sends could not be held on the host.
absl::StatusOr<std::vector<RoutedLink>> FindRoutedLinks(const NetworkNamespace& inside,
                                                        const NetworkNamespace& host);

// Of all of them.
OwnAddresses AddressesOf(const std::vector<RoutedLink>& links);

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_ATTACH_ROUTED_LINK_H_
