// ListContainers: filters, and pages in order of ids.

#ifndef SALLYPORT_CONTROLPLANE_CONTAINER_LIST_H_
#define SALLYPORT_CONTROLPLANE_CONTAINER_LIST_H_

#include "absl/status/status.h"
#include "controlplane/store/state.h"
#include "controlplane/waiters.h"
#include "proto/sallyport/v1/admin.pb.h"

namespace sallyport {

// Fills in one page. INVALID_ARGUMENT has a line for each wrong field. A page ends early if it
// would become too large for one message.
absl::Status FillContainerList(const State& state, const Waiters& waiters,
                               const v1::ListContainersRequest& request,
                               v1::ListContainersResponse* response);

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_CONTAINER_LIST_H_
