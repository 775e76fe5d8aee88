// The store's end of the protocol that FdStore speaks.

#ifndef SALLYPORT_AGENT_KEEP_NOTIFICATIONS_H_
#define SALLYPORT_AGENT_KEEP_NOTIFICATIONS_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {

struct Notification {
  pid_t sender = 0;
  bool ready = false;
  bool stopping = false;
  bool store = false;
  bool remove = false;
  std::string name;
  std::vector<UniqueFd> fds;
};

class Notifications {
 public:
  // In the abstract namespace of this network namespace, where any process may write to it: who did
  // is in `sender`, as the kernel says.
  static absl::StatusOr<Notifications> Open();

  // Readable when there is one.
  int handle() const { return socket_.get(); }
  // For NOTIFY_SOCKET.
  const std::string& address() const { return address_; }
  // nullopt: none waits.
  std::optional<Notification> Next();

 private:
  Notifications(UniqueFd socket, std::string address)
      : socket_(std::move(socket)), address_(std::move(address)) {}

  UniqueFd socket_;
  std::string address_;
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_KEEP_NOTIFICATIONS_H_
