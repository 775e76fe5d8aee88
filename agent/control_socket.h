// The unix socket on which the agent listens for calls.

#ifndef SALLYPORT_AGENT_CONTROL_SOCKET_H_
#define SALLYPORT_AGENT_CONTROL_SOCKET_H_

#include <grpcpp/impl/service_type.h>
#include <grpcpp/server.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {

// The file's mode says who may connect, and is the operator's to change; the peer's credentials
// (unix(7), SO_PEERCRED) say whose calls are taken: those of root and of the agent's own user.
// Anybody else's connection is closed unread.
class ControlSocket {
 public:
  // FAILED_PRECONDITION if somebody answers there, or if the path is another kind of file.
  static absl::Status CheckFree(const std::string& path);
  // Serves `service` on the socket file `path`, mode 0600. Makes its directory, and takes the place
  // of a socket on which nobody answers; errors are those of CheckFree. `service` outlives the
  // object.
  static absl::StatusOr<std::unique_ptr<ControlSocket>> Serve(const std::string& path,
                                                              grpc::Service* service);
  ~ControlSocket() { Shutdown(std::chrono::system_clock::now()); }
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;

  // Removes the file; calls under way may go on until `deadline`. Idempotent.
  void Shutdown(std::chrono::system_clock::time_point deadline);

 private:
  ControlSocket(std::string path, UniqueFd listener, std::unique_ptr<grpc::Server> server);
  void Accept();

  const std::string path_;
  const UniqueFd listener_;
  const std::unique_ptr<grpc::Server> server_;
  std::thread acceptor_;
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_CONTROL_SOCKET_H_
