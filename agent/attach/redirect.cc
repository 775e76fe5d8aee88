#include "agent/attach/redirect.h"

#include "agent/attach/links.h"
#include "agent/attach/ruleset.h"
#include "common/base/status.h"

namespace sallyport::agent {
namespace {

absl::Status RoutesAndListeners(ContainerSockets* sockets) {
  RETURN_IF_ERROR(MakeEveryAddressLocal());
  ASSIGN_OR_RETURN(*sockets, OpenListeners());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Redirected> RedirectNamespace(const NetworkNamespace& network) {
  Redirected redirected;
  RETURN_IF_ERROR(network.Run([&]() -> absl::Status {
    // First: what comes after the check is reported.
    ASSIGN_OR_RETURN(redirected.link_events, OpenLinkEvents());
    RETURN_IF_ERROR(CheckOnlyLoopback());
    RETURN_IF_ERROR(InstallRuleset());
    absl::Status status = RoutesAndListeners(&redirected.sockets);
    if (!status.ok()) {
      UndoMakeEveryAddressLocal();
      RemoveRuleset();
    }
    return status;
  }));
  return redirected;
}

absl::StatusOr<Redirected> RedirectRoutedNamespace(const NetworkNamespace& network,
                                                   const OwnAddresses& own) {
  Redirected redirected;
  RETURN_IF_ERROR(network.Run([&]() -> absl::Status {
    ASSIGN_OR_RETURN(redirected.link_events, OpenLinkEvents());
    RETURN_IF_ERROR(InstallRoutedRuleset(own));
    RETURN_IF_ERROR(MakeWhatBeginsHereLocal(own));
    ASSIGN_OR_RETURN(redirected.sockets, OpenListeners());
    return absl::OkStatus();
  }));
  return redirected;
}

}  // namespace sallyport::agent
