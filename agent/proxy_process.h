// A running proxy.

#ifndef SALLYPORT_AGENT_PROXY_PROCESS_H_
#define SALLYPORT_AGENT_PROXY_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {

// The descriptor that the proxy finds its socket to the agent at.
inline constexpr int kProxyControlFd = 3;

// Killed and reaped when destroyed. Thread-safe, but for Wait.
class ProxyProcess {
 public:
  // Starts `binary` with `arguments`, no environment, no input, the agent's stderr, and one end of
  // a socket pair at kProxyControlFd. It dies with the thread that called this.
  static absl::StatusOr<ProxyProcess> Start(const std::string& binary,
                                            const std::vector<std::string>& arguments);
  ProxyProcess(ProxyProcess&& other) noexcept = default;
  ProxyProcess& operator=(ProxyProcess&& other) = delete;
  ~ProxyProcess();

  pid_t pid() const { return pid_; }
  // Readable when the process has ended.
  int handle() const { return handle_.get(); }
  // The agent's end of the pair; once.
  UniqueFd TakeSocket() { return std::move(socket_); }
  void Kill() const;
  // Waits for the end and says in a few words how it came.
  std::string Wait();

 private:
  ProxyProcess(pid_t pid, UniqueFd handle, UniqueFd socket)
      : pid_(pid), handle_(std::move(handle)), socket_(std::move(socket)) {}

  pid_t pid_;
  UniqueFd handle_;  // Invalid when moved from, or reaped.
  UniqueFd socket_;
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_PROXY_PROCESS_H_
