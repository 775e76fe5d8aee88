// The small process above an agent that has no service manager with a store of descriptors.

#ifndef SALLYPORT_AGENT_KEEP_KEEPER_H_
#define SALLYPORT_AGENT_KEEP_KEEPER_H_

#include <chrono>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace sallyport::agent {

struct KeeperOptions {
  std::string program;  // By path: a file that was put in its place is what runs next.
  std::vector<std::string> arguments;
  // Without an agent that is ready for so long, what is kept is let go: no container of this host
  // has a way out any more.
  std::chrono::milliseconds keep_for{60'000};
};

// Runs the agent, and another one whenever it ends, each with the descriptors that the one before
// asked to have kept (see FdStore). SIGHUP has the agent hand over to the next one; SIGTERM and
// SIGINT stop it. Returns the exit status when the agent has stopped, or never began. The agent
// does not outlive this process. REQUIRES: no other thread runs.
absl::StatusOr<int> RunKeeper(const KeeperOptions& options);

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_KEEP_KEEPER_H_
