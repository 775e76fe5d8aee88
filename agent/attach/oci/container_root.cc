#include "agent/attach/oci/container_root.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::agent {
namespace {

constexpr uid_t kNobody = 65534;
constexpr uint64_t kInside = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;

absl::Status Failed(std::string_view doing) {
  return absl::ErrnoToStatus(errno, StrCat("cannot ", doing));
}

absl::Status Unfit(std::string_view what) { return absl::FailedPreconditionError(StrCat(what)); }

absl::Status NotForAll() {
  return Unfit("not every user may read it, as all may the file that would take its place");
}

// While it is there, files are looked up and opened without root's rights over them.
class WithoutRights {
 public:
  WithoutRights() : uid_(setfsuid(kNobody)), gid_(setfsgid(kNobody)) {}
  ~WithoutRights() {
    setfsgid(static_cast<gid_t>(gid_));
    setfsuid(static_cast<uid_t>(uid_));
  }

 private:
  const int uid_;
  const int gid_;
};

UniqueFd OpenInside(const UniqueFd& root, const std::string& path, uint64_t flags,
                    uint64_t resolve) {
  open_how how = {.flags = flags | O_CLOEXEC, .mode = 0, .resolve = resolve};
  // EAGAIN: something was renamed meanwhile.
  for (;;) {
    UniqueFd fd(
        static_cast<int>(syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof(how))));
    if (fd.valid() || errno != EAGAIN) return fd;
  }
}

struct FileId {
  dev_t device;
  ino_t inode;

  friend bool operator==(const FileId&, const FileId&) = default;
};

std::optional<FileId> IdOf(const std::string& path) {
  struct stat file;
  if (stat(path.c_str(), &file) != 0) return std::nullopt;
  return FileId{file.st_dev, file.st_ino};
}

absl::StatusOr<UniqueFd> OpenDirectory(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return Failed(StrCat("open ", Quote(path)));
  return fd;
}

absl::StatusOr<std::string> ReadAll(const UniqueFd& file, size_t max_bytes) {
  std::string content;
  char buffer[64 * 1024];
  for (;;) {
    const ssize_t count = read(file.get(), buffer, sizeof(buffer));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Failed("read it");
    if (count == 0) return content;
    content.append(buffer, static_cast<size_t>(count));
    if (content.size() > max_bytes) return Unfit("it is too large");
  }
}

}  // namespace

absl::StatusOr<ContainerRoot> ContainerRoot::Enter(pid_t pid, const std::string& rootfs) {
  ASSIGN_OR_RETURN(UniqueFd proc, OpenDirectory("/proc"));
  const std::string path = StrCat("/proc/", pid, "/ns/mnt");
  const UniqueFd mounts(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!mounts.valid()) return Failed("open the container's mount namespace");
  if (IdOf(path) == IdOf("/proc/self/ns/mnt"))
    return Unfit("the container has no mount namespace of its own");
  const std::optional<FileId> host_root = IdOf("/");
  if (setns(mounts.get(), CLONE_NEWNS) != 0) return Failed("enter the container's mount namespace");
  // Until the runtime changes the root, the host's is still there, and `rootfs` a path in it.
  const bool is_root_yet = IdOf("/") != host_root;
  ASSIGN_OR_RETURN(UniqueFd root, OpenDirectory(is_root_yet ? "/" : rootfs));
  return ContainerRoot(std::move(root), std::move(proc));
}

absl::StatusOr<ContainerRoot> ContainerRoot::Open(const std::string& rootfs) {
  ASSIGN_OR_RETURN(UniqueFd proc, OpenDirectory("/proc"));
  ASSIGN_OR_RETURN(UniqueFd root, OpenDirectory(rootfs));
  return ContainerRoot(std::move(root), std::move(proc));
}

absl::StatusOr<UniqueFd> ContainerRoot::Find(std::string_view path) const {
  const WithoutRights without_rights;
  UniqueFd fd = OpenInside(root_, std::string(path), O_PATH, kInside);
  if (fd.valid()) return fd;
  if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) {
    return absl::NotFoundError(StrCat("there is no ", path));
  }
  return errno == EACCES ? NotForAll() : Failed("look it up");
}

absl::StatusOr<std::string> ContainerRoot::Read(const UniqueFd& file, size_t max_bytes) const {
  // Looked at before it is opened: opening a device or a FIFO may do anything.
  struct stat found;
  struct statfs filesystem;
  if (fstat(file.get(), &found) != 0 || fstatfs(file.get(), &filesystem) != 0)
    return Failed("look at it");
  if (!S_ISREG(found.st_mode)) return Unfit("it is not an ordinary file");
  // Some of what they have is masked before the container runs.
  if (filesystem.f_type == PROC_SUPER_MAGIC || filesystem.f_type == SYSFS_MAGIC)
    return Unfit("it is a link into /proc or /sys");
  if (found.st_size > static_cast<off_t>(max_bytes)) return Unfit("it is too large");
  const WithoutRights without_rights;
  const std::string name = StrCat("self/fd/", file.get());
  const UniqueFd readable(openat(proc_.get(), name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!readable.valid()) return errno == EACCES ? NotForAll() : Failed("open it");
  return ReadAll(readable, max_bytes);
}

absl::StatusOr<UniqueFd> ContainerRoot::MakeDirectory(const std::string& path) const {
  const uint64_t flags = O_PATH | O_DIRECTORY;
  UniqueFd at = OpenInside(root_, "/", flags, kInside);
  for (const absl::string_view name : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    const std::string one(name);
    if (at.valid() && mkdirat(at.get(), one.c_str(), 0755) != 0 && errno != EEXIST &&
        errno != EROFS)
      return Failed(StrCat("make the directory ", path));
    at = OpenInside(at, one, flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
    if (at.valid()) continue;
    if (errno == ELOOP || errno == ENOTDIR)
      return Unfit(StrCat("the image's ", path, " has a link or a file in its way"));
    if (errno == ENOENT)
      return Unfit(StrCat("the root file system is read-only and has no directory ", path));
    return Failed(StrCat("open ", path));
  }
  return at;
}

absl::Status ContainerRoot::Create(const std::string& directory, const std::string& name,
                                   std::string_view content) const {
  ASSIGN_OR_RETURN(const UniqueFd folder, MakeDirectory(directory));
  const UniqueFd file(
      openat(folder.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file.valid() || fchmod(file.get(), 0644) != 0 ||
      write(file.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size()))
    return Failed(StrCat("write ", directory, "/", name));
  return absl::OkStatus();
}

absl::StatusOr<bool> ContainerRoot::IsSharedMount(const UniqueFd& file) const {
  struct statx found;
  if (statx(file.get(), "", AT_EMPTY_PATH, STATX_MNT_ID, &found) != 0 ||
      (found.stx_mask & STATX_MNT_ID) == 0)
    return Failed("find the mount");
  const UniqueFd table(openat(proc_.get(), "self/mountinfo", O_RDONLY | O_CLOEXEC));
  if (!table.valid()) return Failed("list the mounts");
  ASSIGN_OR_RETURN(const std::string text, ReadAll(table, SIZE_MAX));
  // proc(5): ID PARENT MAJOR:MINOR ROOT MOUNTPOINT OPTIONS [TAG…] - …
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ');
    uint64_t id = 0;
    if (!absl::SimpleAtoi(fields[0], &id) || id != found.stx_mnt_id) continue;
    for (size_t i = 6; i < fields.size() && fields[i] != "-"; ++i) {
      if (absl::StartsWith(fields[i], "shared:")) return true;
    }
    return false;
  }
  return absl::NotFoundError("the mount is not in the list of mounts");
}

absl::Status ContainerRoot::Mount(const UniqueFd& mount, const UniqueFd& target) const {
  ASSIGN_OR_RETURN(const bool shared, IsSharedMount(target));
  if (shared) {
    return Unfit("what is mounted there would be on the host as well (mount propagation shared)");
  }
  if (move_mount(mount.get(), "", target.get(), "",
                 MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
    return Failed("mount over it");
  return absl::OkStatus();
}

}  // namespace sallyport::agent
