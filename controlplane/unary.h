// Calls that are answered at once.

#ifndef SALLYPORT_CONTROLPLANE_UNARY_H_
#define SALLYPORT_CONTROLPLANE_UNARY_H_

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "absl/status/status.h"
#include "controlplane/rpc_status.h"

namespace sallyport {

inline grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context,
                                        const absl::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpc(status));
  return reactor;
}

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_UNARY_H_
