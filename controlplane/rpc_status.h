// Our status as gRPC's.

#ifndef SALLYPORT_CONTROLPLANE_RPC_STATUS_H_
#define SALLYPORT_CONTROLPLANE_RPC_STATUS_H_

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"

namespace sallyport {

// The codes have the same numbers.
inline grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_RPC_STATUS_H_
