// The agent's end of the socket to its proxy: commands out, answers in. The messages are in
// agent/proxy/control.proto.

#ifndef SALLYPORT_AGENT_PROXY_LINK_H_
#define SALLYPORT_AGENT_PROXY_LINK_H_

#include <chrono>
#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/proxy/control.pb.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {

// One command at a time. Not thread-safe. After an error of a call the link is of no more use, and
// neither is the proxy: it is not known what it did.
class ProxyLink {
 public:
  // `timeout`: how long the proxy may take to answer one command.
  ProxyLink(UniqueFd socket, std::chrono::milliseconds timeout);

  // Waits for the proxy's first message. REQUIRES: first call.
  absl::StatusOr<internal::Ready> WaitReady();
  // Sends `command`, its sequence set here, and waits for its answer. A command that the proxy
  // refused is an answer, not an error. The descriptors stay the caller's.
  absl::StatusOr<internal::Done> Call(internal::Command command, std::span<const int> fds);

 private:
  absl::StatusOr<internal::Event> Receive(std::chrono::steady_clock::time_point deadline);

  UniqueFd socket_;
  std::chrono::milliseconds timeout_;
  uint64_t sequence_ = 0;
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_PROXY_LINK_H_
