// A container's root file system, as its first process will have it.

#ifndef SALLYPORT_AGENT_ATTACH_OCI_CONTAINER_ROOT_H_
#define SALLYPORT_AGENT_ATTACH_OCI_CONTAINER_ROOT_H_

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {

// What is in it is a stranger's: symbolic links may lead anywhere, files may be anything. No path
// is resolved out of the root, no file of the host is read or written. Not thread-safe.
class ContainerRoot {
 public:
  // Takes this process into the mount namespace of `pid`, a process that the runtime is about to
  // make the container's first, with `rootfs` as the root that it will have. There is no way back.
  // REQUIRES: one thread. FAILED_PRECONDITION if the container has no mount namespace of its own.
  static absl::StatusOr<ContainerRoot> Enter(pid_t pid, const std::string& rootfs);
  // In this process's own mount namespace.
  static absl::StatusOr<ContainerRoot> Open(const std::string& rootfs);

  // A file (O_PATH) by its absolute path in the container. Links are followed inside the root, and
  // directories searched with the rights of a user who has none, so that nothing comes to light by
  // way of a link that its users could not read themselves. NOT_FOUND if there is none.
  absl::StatusOr<UniqueFd> Find(std::string_view path) const;
  // The contents of what Find gave, with the same rights. FAILED_PRECONDITION if it is not an
  // ordinary file, or larger than `max_bytes`.
  absl::StatusOr<std::string> Read(const UniqueFd& file, size_t max_bytes) const;
  // Makes what is missing of a directory whose path has no links in it.
  absl::StatusOr<UniqueFd> MakeDirectory(const std::string& path) const;
  // Makes a file that is not there yet, in a directory whose path has no links in it. Errors:
  // ALREADY_EXISTS, and those of MakeDirectory.
  absl::Status Create(const std::string& directory, const std::string& name,
                      std::string_view content) const;
  // Mounts `mount` (as of fsmount or open_tree) on a file or directory of this root. Never where
  // the host would see it: FAILED_PRECONDITION.
  absl::Status Mount(const UniqueFd& mount, const UniqueFd& target) const;

 private:
  ContainerRoot(UniqueFd root, UniqueFd proc) : root_(std::move(root)), proc_(std::move(proc)) {}
  absl::StatusOr<bool> IsSharedMount(const UniqueFd& file) const;

  UniqueFd root_;
  UniqueFd proc_;  // The host's /proc.
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_ATTACH_OCI_CONTAINER_ROOT_H_
