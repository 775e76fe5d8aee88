// The unix socket on which the agent listens for calls.

#ifndef SALLYPORT_AGENT_CONTROL_SOCKET_H_
#define SALLYPORT_AGENT_CONTROL_SOCKET_H_

#include <grpcpp/impl/service_type.h>
#include <grpcpp/server.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace sallyport::agent {

// Serves `service` on the socket file `path`, mode 0600. Makes its directory, and takes the place
// of a socket on which nobody answers; FAILED_PRECONDITION if somebody does, or if the path is
// another kind of file. `service` outlives the server. Changes the process's umask for a moment:
// REQUIRES that nobody else makes files then.
absl::StatusOr<std::unique_ptr<grpc::Server>> ServeOnSocket(const std::string& path,
                                                            grpc::Service* service);

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_CONTROL_SOCKET_H_
