// One container as operators see it.

#ifndef SALLYPORT_CONTROLPLANE_CONTAINER_STATUS_H_
#define SALLYPORT_CONTROLPLANE_CONTAINER_STATUS_H_

#include "controlplane/store/state.h"
#include "controlplane/waiters.h"
#include "proto/sallyport/v1/admin.pb.h"

namespace sallyport {

v1::ContainerStatus MakeContainerStatus(const State& state, const ContainerRecord& container,
                                        const Waiters& waiters);

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_CONTAINER_STATUS_H_
