#include "agent/attach/redirect.h"

#include "agent/attach/loopback.h"
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

absl::StatusOr<ContainerSockets> RedirectNamespace(const NetworkNamespace& network) {
  ContainerSockets sockets;
  RETURN_IF_ERROR(network.Run([&sockets]() -> absl::Status {
    RETURN_IF_ERROR(CheckOnlyLoopback());
    RETURN_IF_ERROR(InstallRuleset());
    absl::Status status = RoutesAndListeners(&sockets);
    if (!status.ok()) {
      UndoMakeEveryAddressLocal();
      RemoveRuleset();
    }
    return status;
  }));
  return sockets;
}

}  // namespace sallyport::agent
