#include "cli/doctor/enter.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/base/unique_fd.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
// The leak check traces the process, and waits for ever where that is forbidden.
extern "C" int __lsan_is_turned_off() { return prctl(PR_GET_DUMPABLE) == 0; }
#endif
#endif

namespace sallyport::cli {
namespace {

constexpr char kSelf[] = "/proc/self/exe";
constexpr char kCopyName[] = "sallyport";
constexpr char kDefaultPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr char kCgroups[] = "/sys/fs/cgroup";

absl::Status Failed(std::string_view doing) {
  return absl::ErrnoToStatus(errno, ToAbsl(StrCat("cannot ", doing)));
}

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// What a process is, besides where.
struct Identity {
  uid_t user = 0;
  gid_t group = 0;
  std::vector<gid_t> groups;
  uint64_t bounding = 0;  // Capabilities.
};

// proc(5), /proc/PID/status. Of Uid and Gid the second number is the effective one.
absl::StatusOr<Identity> IdentityOf(pid_t pid) {
  std::ifstream file(StrCat("/proc/", pid, "/status"));
  if (!file) return absl::NotFoundError(ToAbsl(StrCat("there is no process ", pid)));
  Identity identity;
  bool bounded = false;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    if (name == "Uid:") words >> identity.user >> identity.user;
    if (name == "Gid:") words >> identity.group >> identity.group;
    if (name == "Groups:")
      identity.groups.assign(std::istream_iterator<gid_t>(words), std::istream_iterator<gid_t>());
    if (name == "CapBnd:") bounded = static_cast<bool>(words >> std::hex >> identity.bounding);
  }
  if (!bounded) return absl::NotFoundError(ToAbsl(StrCat("the process ", pid, " has ended")));
  return identity;
}

std::vector<std::string> EnvironmentOf(pid_t pid) {
  return absl::StrSplit(ReadAll(StrCat("/proc/", pid, "/environ")), '\0', absl::SkipEmpty());
}

// So that what the container's programs use is the container's. cgroups(7), /proc/PID/cgroup.
absl::Status JoinCgroups(pid_t pid) {
  std::ifstream file(StrCat("/proc/", pid, "/cgroup"));
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3) continue;
    std::string hierarchy = fields[1].starts_with("name=") ? fields[1].substr(5) : fields[1];
    const bool second = hierarchy.empty();
    if (second && access(StrCat(kCgroups, "/unified").c_str(), F_OK) == 0) hierarchy = "unified";
    const std::string folder = StrCat(kCgroups, hierarchy.empty() ? "" : "/", hierarchy, fields[2]);
    const UniqueFd processes(open(StrCat(folder, "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
    // One that is not mounted limits nobody.
    if (!processes.valid() && errno == ENOENT) continue;
    if (!processes.valid() || write(processes.get(), "0", 1) != 1)
      return Failed(StrCat("enter the cgroup ", folder));
  }
  return absl::OkStatus();
}

bool HasOther(pid_t pid, const char* name) {
  struct stat own = {}, other = {};
  return stat(StrCat("/proc/self/ns/", name).c_str(), &own) == 0 &&
         stat(StrCat("/proc/", pid, "/ns/", name).c_str(), &other) == 0 &&
         (own.st_ino != other.st_ino || own.st_dev != other.st_dev);
}

// The process's root, too, which need not be that of its mount namespace.
absl::Status EnterNamespaces(pid_t pid, const UniqueFd& process) {
  const UniqueFd root(
      open(StrCat("/proc/", pid, "/root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return Failed("find the container's root");
  static constexpr std::pair<const char*, int> kNamespaces[] = {
      {"mnt", CLONE_NEWNS},  {"net", CLONE_NEWNET}, {"pid", CLONE_NEWPID},
      {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS}, {"cgroup", CLONE_NEWCGROUP}};
  int others = 0;
  for (const auto& [name, flag] : kNamespaces) others |= HasOther(pid, name) ? flag : 0;
  if (others != 0 && setns(process.get(), others) != 0)
    return Failed("enter the container's namespaces");
  if (fchdir(root.get()) != 0 || chroot(".") != 0 || chdir("/") != 0)
    return Failed("enter the container's root");
  return absl::OkStatus();
}

absl::Status Become(const Identity& identity) {
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; ++capability) {
    const bool has = (identity.bounding >> capability & 1) != 0;
    if (!has && prctl(PR_CAPBSET_DROP, capability) != 0) return Failed("give up a capability");
  }
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 ||
      setgroups(identity.groups.size(), identity.groups.data()) != 0 ||
      setresgid(identity.group, identity.group, identity.group) != 0 ||
      setresuid(identity.user, identity.user, identity.user) != 0) {
    return Failed("become the container's user");
  }
  // An exec gives root what is left in the bounding set, and nobody more.
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return Failed("forbid new privileges");
  // This process itself is not the container's to look into.
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return Failed("forbid tracing");
  return absl::OkStatus();
}

absl::Status Enter(pid_t pid, const UniqueFd& process) {
  ASSIGN_OR_RETURN(const Identity identity, IdentityOf(pid));
  if (HasOther(pid, "user")) {
    return absl::FailedPreconditionError(
        "the container has a user namespace of its own; run `sallyport doctor --inside` in it");
  }
  const std::vector<std::string> environment = EnvironmentOf(pid);
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return Failed("forbid tracing");
  RETURN_IF_ERROR(JoinCgroups(pid));
  RETURN_IF_ERROR(EnterNamespaces(pid, process));
  clearenv();
  for (const std::string& variable : environment) {
    const size_t equals = variable.find('=');
    if (equals != std::string::npos)
      setenv(variable.substr(0, equals).c_str(), variable.substr(equals + 1).c_str(), 1);
  }
  setenv("PATH", kDefaultPath, 0);
  return Become(identity);
}

// In the PID namespace that its parent has entered, which takes in children alone.
int Await(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

bool RunsFromMemory() {
  char target[64] = {};
  return readlink(kSelf, target, sizeof(target) - 1) > 0 &&
         std::string_view(target).starts_with(StrCat("/memfd:", kCopyName));
}

absl::Status RunFromMemory(const std::vector<std::string>& command) {
  const UniqueFd self(open(kSelf, O_RDONLY | O_CLOEXEC));
  const UniqueFd copy(memfd_create(kCopyName, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  struct stat found = {};
  if (!self.valid() || !copy.valid() || fstat(self.get(), &found) != 0)
    return Failed("copy this program");
  off_t done = 0;
  while (done < found.st_size) {
    const ssize_t count =
        sendfile(copy.get(), self.get(), &done, static_cast<size_t>(found.st_size - done));
    if (count <= 0) return Failed("copy this program");
  }
  if (fcntl(copy.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
    return Failed("seal the copy of this program");
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  fexecve(copy.get(), arguments.data(), environ);
  return Failed("run the copy of this program");
}

absl::StatusOr<int> InContainerOf(pid_t pid, const std::function<int()>& work) {
  const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!process.valid()) return absl::NotFoundError(ToAbsl(StrCat("there is no process ", pid)));
  RETURN_IF_ERROR(Enter(pid, process));
  const pid_t child = fork();
  if (child < 0) return Failed("start a process in the container");
  if (child == 0) {
    const int status = work();
    std::fflush(nullptr);
    _exit(status);
  }
  return Await(child);
}

}  // namespace sallyport::cli
