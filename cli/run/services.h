// A control plane and an agent for the lifetime of one command.

#ifndef SALLYPORT_CLI_RUN_SERVICES_H_
#define SALLYPORT_CLI_RUN_SERVICES_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/run/options.h"

namespace sallyport::cli {

// Whose the services are. kUser: an ordinary user's, who is root of a user namespace only.
enum class Ownership { kRoot, kUser };

// Both programs, started by us, with sockets and state in a folder of their own: under /run, an
// ordinary user's under XDG_RUNTIME_DIR or /tmp. They end with this object, and with this process.
// Not thread-safe.
class LocalServices {
 public:
  // Whether there is someone at a unix: address. Other addresses are taken to be served.
  static bool Answers(const std::string& address);

  // Where Start will put everything of theirs.
  static std::string Directory(Ownership ownership);

  // Returns when both answer. The error quotes the end of their log.
  static absl::StatusOr<std::unique_ptr<LocalServices>> Start(const RunOptions& options,
                                                              Ownership ownership);
  ~LocalServices();
  LocalServices(const LocalServices&) = delete;
  LocalServices& operator=(const LocalServices&) = delete;

  std::string control_plane() const { return "unix:" + directory_ + "/controlplane.sock"; }
  std::string agent() const { return "unix:" + directory_ + "/agent.sock"; }

 private:
  LocalServices() = default;
  absl::Status Spawn(const std::string& program, const std::vector<std::string>& arguments);
  absl::Status AwaitSocket(const std::string& address);
  std::string LogTail() const;

  std::string directory_;
  std::vector<pid_t> started_;  // In order; stopped in reverse.
};

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_RUN_SERVICES_H_
