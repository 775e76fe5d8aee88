// A container's network namespace, found by process or by path.

#ifndef SALLYPORT_AGENT_ATTACH_NETNS_H_
#define SALLYPORT_AGENT_ATTACH_NETNS_H_

#include <sys/types.h>

#include <compare>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {

// What tells one namespace from another while it exists. Anything that holds it open, such as a
// socket made inside, keeps its identity from being given to another.
struct NamespaceId {
  dev_t device = 0;
  ino_t inode = 0;

  friend auto operator<=>(const NamespaceId&, const NamespaceId&) = default;
};

// Readable when the process has ended. NOT_FOUND if there is no such process.
absl::StatusOr<UniqueFd> OpenProcess(pid_t pid);
bool HasEnded(const UniqueFd& process);

// Holds the namespace open. Thread-safe.
class NetworkNamespace {
 public:
  // The namespace of the process that `process` (see OpenProcess) stands for; never that of another
  // process that was given the same id since.
  static absl::StatusOr<NetworkNamespace> OfProcess(pid_t pid, const UniqueFd& process);
  // INVALID_ARGUMENT if the file is not a network namespace.
  static absl::StatusOr<NetworkNamespace> OfPath(const std::string& path);
  // The one that the socket was made in.
  static absl::StatusOr<NetworkNamespace> OfSocket(const UniqueFd& socket);
  // The one this program runs in.
  static absl::StatusOr<NetworkNamespace> Own();

  const NamespaceId& id() const { return id_; }
  const UniqueFd& fd() const { return fd_; }

  // Runs `work` inside the namespace, on a thread of its own that ends with it, and returns what it
  // returned. Sockets and files that it opens stay in the namespace.
  absl::Status Run(const std::function<absl::Status()>& work) const;

 private:
  NetworkNamespace(UniqueFd fd, NamespaceId id) : fd_(std::move(fd)), id_(id) {}
  static absl::StatusOr<NetworkNamespace> OfFile(const std::string& path);

  UniqueFd fd_;
  NamespaceId id_;
};

// FAILED_PRECONDITION, naming the interface, if the calling thread's namespace has one other than
// the loopback.
absl::Status CheckOnlyLoopback();

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_ATTACH_NETNS_H_
