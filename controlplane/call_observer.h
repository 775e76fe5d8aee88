// Sees each call's end, for CallStats.

#ifndef SALLYPORT_CONTROLPLANE_CALL_OBSERVER_H_
#define SALLYPORT_CONTROLPLANE_CALL_OBSERVER_H_

#include <grpcpp/support/server_interceptor.h>

#include <memory>

#include "controlplane/call_stats.h"

namespace sallyport {

// `stats` outlives the server that is given it.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeCallObserver(
    CallStats* stats);

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_CALL_OBSERVER_H_
