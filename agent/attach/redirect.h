// Turns a network namespace with no way out into one whose every way leads to the agent's sockets.

#ifndef SALLYPORT_AGENT_ATTACH_REDIRECT_H_
#define SALLYPORT_AGENT_ATTACH_REDIRECT_H_

#include "absl/status/statusor.h"
#include "agent/attach/listeners.h"
#include "agent/attach/netns.h"

namespace sallyport::agent {

// Rules, routes and listeners, in this order: the rules drop by default. All of it or nothing. A
// namespace that was redirected before is redirected anew. Errors: FAILED_PRECONDITION if the
// namespace has an interface other than `lo`, or if something in it holds a port that is needed.
absl::StatusOr<ContainerSockets> RedirectNamespace(const NetworkNamespace& network);

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_ATTACH_REDIRECT_H_
