// The nftables rules inside a container's network namespace that hand its traffic to the agent's
// sockets.

#ifndef SALLYPORT_AGENT_ATTACH_RULESET_H_
#define SALLYPORT_AGENT_ATTACH_RULESET_H_

#include "absl/status/status.h"
#include "agent/attach/loopback.h"

namespace sallyport::agent {

// Both work on the calling thread's network namespace.

// Installs the table, in the place of one that is there already; all of it or nothing.
absl::Status InstallRuleset();
// The same for a namespace that has interfaces of its own, with these addresses.
absl::Status InstallRoutedRuleset(const OwnAddresses& own);
// As much of it as can be.
void RemoveRuleset();

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_ATTACH_RULESET_H_
