#include "agent/attach/netns.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::agent {
namespace {

// The loopback is made with its namespace, is always the first interface, and cannot be deleted.
constexpr unsigned kLoopbackIndex = 1;

absl::Status NoSuchProcess(pid_t pid) {
  return absl::NotFoundError(absl::StrCat("there is no process ", pid));
}

}  // namespace

absl::StatusOr<UniqueFd> OpenProcess(pid_t pid) {
  if (pid <= 0) return absl::InvalidArgumentError("pid: must be positive");
  UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (process.valid()) return process;
  if (errno == ESRCH) return NoSuchProcess(pid);
  if (errno == EINVAL) {
    return absl::InvalidArgumentError(
        absl::StrCat("pid: ", pid, " is a thread; give the id of its process"));
  }
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot watch process ", pid));
}

bool HasEnded(const UniqueFd& process) {
  pollfd ended{process.get(), POLLIN, 0};
  return poll(&ended, 1, 0) != 0;
}

absl::StatusOr<NetworkNamespace> NetworkNamespace::OfProcess(pid_t pid, const UniqueFd& process) {
  absl::StatusOr<NetworkNamespace> found = OfFile(absl::StrCat("/proc/", pid, "/ns/net"));
  // Alive after the file was opened: the file was this process's.
  if (HasEnded(process)) return NoSuchProcess(pid);
  return found;
}

absl::StatusOr<NetworkNamespace> NetworkNamespace::OfPath(const std::string& path) {
  if (path.empty() || path.front() != '/') {
    return absl::InvalidArgumentError("netns_path: must be absolute, as /run/netns/NAME");
  }
  return OfFile(path);
}

absl::StatusOr<NetworkNamespace> NetworkNamespace::OfSocket(const UniqueFd& socket) {
  UniqueFd fd(ioctl(socket.get(), SIOCGSKNS));
  struct stat file;
  if (!fd.valid() || fstat(fd.get(), &file) != 0) {
    return absl::ErrnoToStatus(errno, "a socket's network namespace cannot be opened");
  }
  return NetworkNamespace(std::move(fd), NamespaceId{file.st_dev, file.st_ino});
}

absl::StatusOr<NetworkNamespace> NetworkNamespace::Own() { return OfFile("/proc/self/ns/net"); }

absl::StatusOr<NetworkNamespace> NetworkNamespace::OfFile(const std::string& path) {
  // O_NONBLOCK: the path may lead to a FIFO.
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (!fd.valid()) {
    const std::string what = StrCat("the network namespace ", Quote(path), " cannot be opened");
    if (errno == ENOENT || errno == ENOTDIR) return absl::NotFoundError(what);
    return absl::ErrnoToStatus(errno, what);
  }
  struct statfs filesystem;
  struct stat file;
  if (fstatfs(fd.get(), &filesystem) != 0 || fstat(fd.get(), &file) != 0) {
    return absl::ErrnoToStatus(errno, StrCat("cannot look at ", Quote(path)));
  }
  if (filesystem.f_type != NSFS_MAGIC || ioctl(fd.get(), NS_GET_NSTYPE) != CLONE_NEWNET) {
    return absl::InvalidArgumentError(StrCat(Quote(path), " is not a network namespace"));
  }
  return NetworkNamespace(std::move(fd), NamespaceId{file.st_dev, file.st_ino});
}

absl::Status NetworkNamespace::Run(const std::function<absl::Status()>& work) const {
  absl::Status result;
  std::thread inside([&] {
    if (setns(fd_.get(), CLONE_NEWNET) != 0) {
      result = absl::ErrnoToStatus(errno, "the network namespace cannot be entered");
      return;
    }
    result = work();
  });
  inside.join();
  return result;
}

absl::Status CheckOnlyLoopback() {
  struct if_nameindex* const interfaces = if_nameindex();
  if (interfaces == nullptr) {
    return absl::ErrnoToStatus(errno, "the namespace's interfaces cannot be listed");
  }
  std::string other;
  for (struct if_nameindex* i = interfaces; i->if_index != 0; ++i) {
    if (i->if_index != kLoopbackIndex) other = i->if_name;
  }
  if_freenameindex(interfaces);
  if (other.empty()) return absl::OkStatus();
  std::string message =
      StrCat("the namespace has the interface ", Quote(other),
             " beside `lo`; only a namespace with no way out of its own can be "
             "attached (for podman: --network none), unless routed mode is asked for "
             "(--annotation sallyport.network=routed)");
  for (const std::string_view fallback : {"tunl0", "gre0", "gretap0", "erspan0", "ip_vti0",
                                          "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0"}) {
    if (other != fallback) continue;
    absl::StrAppend(&message,
                    ". The kernel makes this one in every namespace unless the sysctl "
                    "net.core.fb_tunnels_only_for_init_net is 1");
  }
  return absl::FailedPreconditionError(message);
}

}  // namespace sallyport::agent
