#include "agent/control_socket.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {
namespace {

bool SomebodyAnswers(const std::string& path) {
  UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  return connect(probe.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
}

absl::Status MakeRoom(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  if (error) {
    return absl::FailedPreconditionError(
        StrCat("the directory of --socket ", Quote(path), " cannot be made: ", error.message()));
  }
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
  unlink(path.c_str());
  return absl::OkStatus();
}

// gRPC makes the socket file with the umask of the process.
class PrivateUmask {
 public:
  PrivateUmask() : before_(::umask(0177)) {}
  ~PrivateUmask() { ::umask(before_); }

 private:
  const mode_t before_;
};

// A call waits for the policy in its thread. So many threads stay when many containers came at
// once; otherwise the next such moment would make them again.
void KeepThreads(grpc::ServerBuilder* builder) {
  constexpr int kThreads = 16;
  using Option = grpc::ServerBuilder::SyncServerOption;
  builder->SetSyncServerOption(Option::NUM_CQS, 1);
  builder->SetSyncServerOption(Option::MAX_POLLERS, kThreads);
}

}  // namespace

absl::StatusOr<std::unique_ptr<grpc::Server>> ServeOnSocket(const std::string& path,
                                                            grpc::Service* service) {
  RETURN_IF_ERROR(MakeRoom(path));
  grpc::ServerBuilder builder;
  int bound = 0;
  builder.AddListeningPort("unix:" + path, grpc::InsecureServerCredentials(), &bound);
  builder.RegisterService(service);
  KeepThreads(&builder);
  std::unique_ptr<grpc::Server> server;
  {
    const PrivateUmask umask;
    server = builder.BuildAndStart();
  }
  if (server == nullptr || bound == 0) {
    return absl::FailedPreconditionError(StrCat("cannot listen on --socket ", Quote(path)));
  }
  return server;
}

}  // namespace sallyport::agent
