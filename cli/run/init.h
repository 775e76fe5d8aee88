// The first process of a sandbox.

#ifndef SALLYPORT_CLI_RUN_INIT_H_
#define SALLYPORT_CLI_RUN_INIT_H_

#include <optional>
#include <string>
#include <vector>

#include "cli/run/user_namespace.h"
#include "common/base/unique_fd.h"

namespace sallyport::cli {

struct InitTask {
  std::vector<std::string> command;
  std::vector<std::string> environment;  // NAME=VALUE each, over this process's own.
  // Where the command finds the CA and the bundle. Without walls: a folder that is there.
  std::string certificates;
  // Absent: root's sandbox. Else an ordinary user's, who is to be that user in it.
  std::optional<User> user = std::nullopt;
  std::string services;  // An ordinary user's: where the services are, which is out of sight.
};

// Waits for the contents on `go` (see Sandbox::Release), prepares the file system (PrepareMounts)
// and the environment, gives up capabilities, runs the command, and exits with its status. Errors
// are sentences on stderr and status 125 to 127.
[[noreturn]] void RunInit(UniqueFd go, const InitTask& task);
// Waits for the same, and becomes the command, with a proxy in its environment.
[[noreturn]] void RunWithoutWalls(UniqueFd go, const InitTask& task);

// A text with its length before it, on a pipe. False: the other end is gone.
bool WriteText(int fd, const std::string& text);
bool ReadText(int fd, std::string* text);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_RUN_INIT_H_
