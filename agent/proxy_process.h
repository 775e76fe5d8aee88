// A running proxy.

#ifndef SALLYPORT_AGENT_PROXY_PROCESS_H_
#define SALLYPORT_AGENT_PROXY_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {

// The descriptor that the proxy finds the inside of its door at (common/ipc/door.h).
inline constexpr int kProxyControlFd = 3;

// Killed and reaped when destroyed. Thread-safe, but for Wait.
class ProxyProcess {
 public:
  enum class Life {
    kWithAgent,  // It dies with the thread that called Start.
    kWithDoor,   // It ends when nobody holds the outside of its door any more.
  };
  // Starts `binary` with `arguments`, no environment, no input, the agent's stderr, and the inside
  // of a door at kProxyControlFd.
  static absl::StatusOr<ProxyProcess> Start(const std::string& binary,
                                            const std::vector<std::string>& arguments, Life life);
  // One that an agent before this one has started. `handle`: its pidfd.
  ProxyProcess(pid_t pid, UniqueFd handle, UniqueFd door)
      : pid_(pid), handle_(std::move(handle)), door_(std::move(door)) {}
  ProxyProcess(ProxyProcess&& other) noexcept = default;
  ProxyProcess& operator=(ProxyProcess&& other) = delete;
  ~ProxyProcess();

  pid_t pid() const { return pid_; }
  // Readable when the process has ended.
  int handle() const { return handle_.get(); }
  // The outside of its door.
  int door() const { return door_.get(); }
  void Kill() const;
  // Waits for the end and says in a few words how it came.
  std::string Wait();

 private:
  pid_t pid_;
  UniqueFd handle_;  // Invalid when moved from, or reaped.
  UniqueFd door_;
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_PROXY_PROCESS_H_
