// What keeps routed containers in, on the host's side of their interfaces: rules inside a namespace
// are not enforcement.

#ifndef SALLYPORT_AGENT_ATTACH_HOST_RULES_H_
#define SALLYPORT_AGENT_ATTACH_HOST_RULES_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/attach/flows.h"
#include "agent/attach/routed_link.h"
#include "common/base/mutex.h"

namespace sallyport::agent {

// Three tables `sallyport_routed` in the agent's own namespace, which is to be the one that the
// containers' networks are made in:
//
// - netdev: from the veth's host end comes nothing but IP and ARP, with the container's own
// addresses as the source.
//
// - bridge: nothing is passed on to another port of the bridge.
//
// - inet: to the host, and through it, goes only what answers a connection that came to the
// container.
//
// An interface is held for as long as it is there, whatever becomes of the container's attachment
// and of this program: with the rules gone it would be an ordinary way out. What is held is written
// down, so that the next agent removes what is of no use any more: in DIRECTORY/INDEX name, MAC and
// addresses, separated by spaces.
//
// Thread-safe.
class HostRules {
 public:
  // Makes the directory.
  static absl::StatusOr<std::unique_ptr<HostRules>> Open(const std::string& directory);
  // Removes the directory, if nothing is held.
  ~HostRules();
  HostRules(const HostRules&) = delete;
  HostRules& operator=(const HostRules&) = delete;

  // Holds them all, or returns why not. What is held already keeps the MAC and the addresses that
  // it had first, whatever `links` says now. Returns the links as they are held. Flows that were
  // there before are forgotten, so that none can be carried on.
  absl::StatusOr<std::vector<RoutedLink>> Hold(std::vector<RoutedLink> links);
  bool Holds(int index) const;
  // The interface is gone from the host.
  void Forget(int index);
  // Those that are.
  void ForgetGone();

 private:
  explicit HostRules(std::string directory) : directory_(std::move(directory)) {}
  std::string PathOf(int index) const;
  absl::Status WriteDown(const RoutedLink& link) const;
  absl::Status ForgetFlowsTo(const std::vector<std::string>& addresses)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string directory_;
  mutable Mutex mutex_;
  std::map<int, RoutedLink> held_ ABSL_GUARDED_BY(mutex_);  // By RoutedLink::index.
  std::optional<FlowTable> flows_ ABSL_GUARDED_BY(mutex_);  // Once it was of use.
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_ATTACH_HOST_RULES_H_
