// The namespaces that a command runs in.

#ifndef SALLYPORT_CLI_RUN_SANDBOX_H_
#define SALLYPORT_CLI_RUN_SANDBOX_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cli/run/init.h"
#include "common/base/unique_fd.h"

namespace sallyport::cli {

// What the sandbox is given once the network is guarded.
struct SandboxContents {
  std::string ca_certificate;  // PEM.
  std::string bundle;          // PEM: the system's roots and that CA.
  std::string proxy_url;       // Without walls: the explicit proxy. Else empty.
};

// kNone: the command runs as any other, in the namespaces of this program.
enum class Walls { kNamespaces, kNone };

// With walls, three processes: this one; a *holder*, whose end ends the container; and, in a PID
// namespace of its own, an *init* that starts the command, reaps, forwards signals, and exits with
// the command's status. Without, the holder becomes the command. Each dies with its parent. Not
// thread-safe.
class Sandbox {
 public:
  // Makes the namespaces. Nothing of the command runs before Release. REQUIRES: root (for
  // namespaces), and a process with one thread.
  static absl::StatusOr<Sandbox> Start(Walls walls, InitTask task);
  Sandbox(Sandbox&& other) noexcept;
  Sandbox& operator=(Sandbox&&) = delete;
  // Ends what still runs.
  ~Sandbox();

  // A process in the network namespace, for the agent.
  pid_t holder() const { return holder_; }
  // Puts the contents in place and starts the command.
  absl::Status Release(const SandboxContents& contents);
  // To the command. Ignored if it has ended.
  void Signal(int signal) const;
  // If the sandbox has ended: true, and `*exit_status` is what this program should exit with.
  bool Ended(int* exit_status);

 private:
  Sandbox() = default;

  pid_t holder_ = -1;
  pid_t init_ = -1;
  UniqueFd go_;  // Closed without a word: the sandbox gives up.
};

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_RUN_SANDBOX_H_
