// Where descriptors live while one agent ends and the next begins: the service manager's store, by
// the protocol of systemd (sd_notify(3): FDSTORE, sd_listen_fds(3)), or that of our own keeper,
// which speaks the same.

#ifndef SALLYPORT_AGENT_KEEP_FD_STORE_H_
#define SALLYPORT_AGENT_KEEP_FD_STORE_H_

#include <sys/socket.h>
#include <sys/un.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "agent/keep/parcel.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {

// Thread-safe.
class FdStore {
 public:
  // Keeps nothing.
  FdStore() = default;
  // The store that NOTIFY_SOCKET names, which is taken out of the environment. REQUIRES: no other
  // thread runs.
  static FdStore FromEnvironment();

  // Whether there is one. What it holds it may lose all the same, as systemd does without
  // FileDescriptorStoreMax.
  bool exists() const { return socket_.valid(); }

  // Keeps a parcel of that name. `name`: at most 255 printable characters without a colon, and
  // that of nothing that is kept.
  absl::Status Keep(std::string_view name, std::string_view record, std::span<const int> fds) const;
  void Forget(std::string_view name) const;
  // Says what state this process is in, such as "READY=1".
  void Tell(std::string_view state) const;

 private:
  absl::Status Send(std::string_view message, std::span<const int> fds) const;

  UniqueFd socket_;
  sockaddr_un address_{};
  socklen_t address_length_ = 0;
};

struct Inherited {
  std::string name;
  UniqueFd fd;
};

// What the store gave this process at its start: LISTEN_FDS and its companions, which are taken out
// of the environment. REQUIRES: no other thread runs.
std::vector<Inherited> TakeInherited();

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_KEEP_FD_STORE_H_
