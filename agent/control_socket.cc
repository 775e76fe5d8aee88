#include "agent/control_socket.h"

#include <fcntl.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_posix.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {
namespace {

UniqueFd StreamSocket() { return UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return address;
}

bool SomebodyAnswers(const std::string& path) {
  const UniqueFd probe = StreamSocket();
  const sockaddr_un address = AddressOf(path);
  return connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
}

absl::Status MakeRoom(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (error) {
    return absl::FailedPreconditionError(
        StrCat("the directory of --socket ", Quote(path), " cannot be made: ", error.message()));
  }
  RETURN_IF_ERROR(ControlSocket::CheckFree(path));
  unlink(path.c_str());
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> Listen(const std::string& path) {
  UniqueFd listener = StreamSocket();
  const sockaddr_un address = AddressOf(path);
  // A socket's mode is that of the file which bind(2) makes.
  if (!listener.valid() || fchmod(listener.get(), 0600) != 0 ||
      bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(listener.get(), SOMAXCONN) != 0) {
    return absl::FailedPreconditionError(StrCat("cannot listen on --socket ", Quote(path), ": ",
                                                std::generic_category().message(errno)));
  }
  return listener;
}

bool MayCall(const UniqueFd& connection) {
  ucred peer{};
  socklen_t length = sizeof(peer);
  if (getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return false;
  if (peer.uid == 0 || peer.uid == geteuid()) return true;
  LogWarning("refused a call on the agent's socket: process ", peer.pid, " is user ", peer.uid,
             "'s, and only root and the agent's own user may call");
  return false;
}

// A call waits for the policy in its thread. So many threads stay when many containers came at
// once; otherwise the next such moment would make them again.
void KeepThreads(grpc::ServerBuilder* builder) {
  constexpr int kThreads = 16;
  using Option = grpc::ServerBuilder::SyncServerOption;
  builder->SetSyncServerOption(Option::NUM_CQS, 1);
  builder->SetSyncServerOption(Option::MAX_POLLERS, kThreads);
}

}  // namespace

absl::Status ControlSocket::CheckFree(const std::string& path) {
  struct stat found;
  if (lstat(path.c_str(), &found) != 0) return absl::OkStatus();
  if (!S_ISSOCK(found.st_mode)) {
    return absl::FailedPreconditionError(StrCat(
        "--socket ", Quote(path), ": there is something else; remove it or name another path"));
  }
  if (SomebodyAnswers(path)) {
    return absl::FailedPreconditionError(StrCat(
        "--socket ", Quote(path), ": another agent answers there; one is enough for a host"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ControlSocket>> ControlSocket::Serve(const std::string& path,
                                                                    grpc::Service* service) {
  RETURN_IF_ERROR(MakeRoom(path));
  grpc::ServerBuilder builder;
  builder.RegisterService(service);
  KeepThreads(&builder);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return absl::InternalError("cannot start the server of --socket");
  ASSIGN_OR_RETURN(UniqueFd listener, Listen(path));
  return std::unique_ptr<ControlSocket>(
      new ControlSocket(path, std::move(listener), std::move(server)));
}

ControlSocket::ControlSocket(std::string path, UniqueFd listener,
                             std::unique_ptr<grpc::Server> server)
    : path_(std::move(path)),
      listener_(std::move(listener)),
      server_(std::move(server)),
      acceptor_([this] { Accept(); }) {}

void ControlSocket::Accept() {
  constexpr std::chrono::milliseconds kBackOff{10};
  for (;;) {
    UniqueFd connection(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (connection.valid()) {
      if (MayCall(connection)) grpc::AddInsecureChannelFromFd(server_.get(), connection.Release());
      continue;
    }
    if (errno == EINVAL) return;  // Shut down.
    // No descriptor or memory is free, or the peer has gone again.
    std::this_thread::sleep_for(kBackOff);
  }
}

void ControlSocket::Shutdown(std::chrono::system_clock::time_point deadline) {
  if (!acceptor_.joinable()) return;
  shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  unlink(path_.c_str());
  server_->Shutdown(deadline);
}

}  // namespace sallyport::agent
