// Turns a network namespace with no way out into one whose every way leads to the agent's sockets.

#ifndef SALLYPORT_AGENT_ATTACH_REDIRECT_H_
#define SALLYPORT_AGENT_ATTACH_REDIRECT_H_

#include "absl/status/statusor.h"
#include "agent/attach/listeners.h"
#include "agent/attach/loopback.h"
#include "agent/attach/netns.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {

struct Redirected {
  ContainerSockets sockets;
  UniqueFd link_events;  // See OpenLinkEvents.
};

// Rules, routes and listeners, in this order: the rules drop by default. All of it or nothing. A
// namespace that was redirected before is redirected anew. Errors:
// FAILED_PRECONDITION if the namespace has an interface other than `lo`, or if something in it
// holds a port that is needed.
absl::StatusOr<Redirected> RedirectNamespace(const NetworkNamespace& network);
// For one that keeps its own interfaces, for what others begin. REQUIRES: HostRules keeps all else
// in. After an error the rules are gone from the namespace, or drop.
absl::StatusOr<Redirected> RedirectRoutedNamespace(const NetworkNamespace& network,
                                                   const OwnAddresses& own);

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_ATTACH_REDIRECT_H_
