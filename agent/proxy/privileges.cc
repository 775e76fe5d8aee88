#include "agent/proxy/privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>

#include "agent/proxy/system_calls.h"
#include "common/base/descriptors.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/base/unique_fd.h"

namespace sallyport::proxy {
namespace {

// For the keys of a hundred thousand containers (tls/key_memory.h).
constexpr rlim_t kLockedBytes = 256 << 20;

absl::Status Failed(std::string_view what) {
  return absl::ErrnoToStatus(errno, ToAbsl(StrCat("cannot ", what)));
}

// An empty read-only file system, in a mount namespace that has no other.
absl::Status EnterEmptyRoot() {
  // Any folder serves as a mount point; this one is on every system.
  static constexpr char kMountPoint[] = "/tmp";
  if (unshare(CLONE_NEWNS) != 0) return Failed("make a mount namespace");
  if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return Failed("make mounts private");
  const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY;
  if (mount("sallyport-proxy", kMountPoint, "tmpfs", flags, "size=0,mode=0555") != 0)
    return Failed("mount an empty root");
  if (chdir(kMountPoint) != 0) return Failed("enter the empty root");
  // Over itself, so that it needs no folder for what was the root: pivot_root(2).
  if (syscall(SYS_pivot_root, ".", ".") != 0)
    return Failed("enter the empty root (is this system's root its initramfs?)");
  if (umount2(".", MNT_DETACH) != 0) return Failed("leave the host's files");
  if (chdir("/") != 0) return Failed("enter the empty root");
  return absl::OkStatus();
}

// To the hard limit; with CAP_SYS_RESOURCE beyond it, to `least`.
absl::Status Raise(__rlimit_resource resource, std::string_view what, rlim_t least) {
  rlimit limit = {};
  if (getrlimit(resource, &limit) != 0) return Failed(StrCat("read the limit of ", what));
  const rlimit beyond = {least, least};
  if (limit.rlim_max < least && setrlimit(resource, &beyond) == 0) return absl::OkStatus();
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(resource, &limit) != 0) return Failed(StrCat("raise the limit of ", what));
  return absl::OkStatus();
}

absl::Status DropCapabilities() {
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; ++capability) {
    if (prctl(PR_CAPBSET_DROP, capability) != 0)
      return Failed("drop a capability from the bounding set");
  }
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
    return Failed("clear ambient capabilities");
  return absl::OkStatus();
}

// In the initial one every id stands for itself (user_namespaces(7)).
bool InUserNamespace() {
  std::ifstream map("/proc/self/uid_map");
  uint64_t inside = 0, outside = 0, count = 0;
  map >> inside >> outside >> count;
  return map && (outside != 0 || count != UINT32_MAX);
}

absl::Status BecomeUser(const passwd& user) {
  if (user.pw_uid == 0) return absl::OkStatus();
  if (setgroups(0, nullptr) != 0) return Failed("leave all groups");
  if (setresgid(user.pw_gid, user.pw_gid, user.pw_gid) != 0) return Failed("change the group");
  if (setresuid(user.pw_uid, user.pw_uid, user.pw_uid) != 0) return Failed("change the user");
  return absl::OkStatus();
}

absl::Status ClearOwnCapabilities() {
  __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capset, &header, none) != 0) return Failed("give up capabilities");
  return absl::OkStatus();
}

// No file may be opened, whatever the root shows. A kernel without Landlock leaves the empty root
// alone in charge.
absl::Status ForbidFiles() {
  landlock_ruleset_attr attributes = {};
  attributes.handled_access_fs =
      (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;  // Every right of the first ABI.
  const UniqueFd ruleset(static_cast<int>(
      syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes.handled_access_fs), 0)));
  if (!ruleset.valid()) {
    if (errno == ENOSYS || errno == EOPNOTSUPP) {
      LogInfo("this kernel has no Landlock; the proxy's empty root alone keeps it from files");
      return absl::OkStatus();
    }
    return Failed("make a Landlock ruleset");
  }
  if (syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0)
    return Failed("enter the Landlock ruleset");
  return absl::OkStatus();
}

}  // namespace

absl::Status DropPrivileges(const std::string& user) {
  errno = 0;
  const passwd* found = getpwnam(user.c_str());
  if (found == nullptr) {
    return absl::NotFoundError(
        ToAbsl(StrCat("there is no user ", user,
                      "; deploy/install.sh makes it, or choose one with --proxy-user")));
  }
  const passwd account = *found;
  if (account.pw_uid == 0 && !InUserNamespace())
    return absl::InvalidArgumentError("the proxy never runs as root; choose another --proxy-user");

  RETURN_IF_ERROR(Raise(RLIMIT_NOFILE, "descriptors", 0));
  ReserveDescriptors();
  RETURN_IF_ERROR(Raise(RLIMIT_MEMLOCK, "locked memory", kLockedBytes));
  const rlimit no_core = {0, 0};
  if (setrlimit(RLIMIT_CORE, &no_core) != 0) return Failed("forbid core dumps");
  RETURN_IF_ERROR(EnterEmptyRoot());
  RETURN_IF_ERROR(DropCapabilities());
  RETURN_IF_ERROR(BecomeUser(account));
  RETURN_IF_ERROR(ClearOwnCapabilities());
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return Failed("forbid new privileges");
  RETURN_IF_ERROR(ForbidFiles());
  // After the user: changing it resets this.
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return Failed("forbid tracing");
  return FilterSystemCalls();
}

}  // namespace sallyport::proxy
