// The first process of a sandbox.

#ifndef SALLYPORT_CLI_RUN_INIT_H_
#define SALLYPORT_CLI_RUN_INIT_H_

#include <string>
#include <vector>

#include "common/base/unique_fd.h"

namespace sallyport::cli {

struct InitTask {
  std::vector<std::string> command;
  std::vector<std::string> environment;  // NAME=VALUE each, over this process's own.
};

// Waits for the contents on `go` (see Sandbox::Release), prepares the file system (PrepareMounts)
// and the environment, gives up capabilities, runs the command, and exits with its status. Errors
// are sentences on stderr and status 125 to 127.
[[noreturn]] void RunInit(UniqueFd go, const InitTask& task);

// A text with its length before it, on a pipe. False: the other end is gone.
bool WriteText(int fd, const std::string& text);
bool ReadText(int fd, std::string* text);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_RUN_INIT_H_
