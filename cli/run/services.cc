#include "cli/run/services.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "absl/strings/numbers.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/base/unique_fd.h"

namespace sallyport::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kStartTime{15};
constexpr std::chrono::seconds kStopTime{5};
constexpr std::chrono::milliseconds kPollTime{5};
constexpr size_t kLogTailBytes = 2000;
constexpr char kDirectoryPrefix[] = "sallyport-run-";

std::string BaseDirectory(Ownership ownership) {
  if (ownership == Ownership::kRoot) return "/run";
  const char* const own = getenv("XDG_RUNTIME_DIR");
  return own != nullptr && own[0] == '/' && access(own, W_OK) == 0 ? own : "/tmp";
}

// Beside this program, in a build tree, or where packages put it.
absl::StatusOr<std::string> FindProgram(const std::string& name, const std::string& build_folder) {
  std::error_code error;
  const std::filesystem::path here =
      std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
  for (const std::filesystem::path& folder :
       {here, here.parent_path() / build_folder, std::filesystem::path("/usr/lib/sallyport"),
        std::filesystem::path("/usr/local/bin"), std::filesystem::path("/usr/sbin")}) {
    if (access((folder / name).c_str(), X_OK) == 0) return (folder / name).string();
  }
  return absl::NotFoundError(StrCat("cannot find the program ", name,
                                    "; it belongs beside this one or in /usr/lib/sallyport"));
}

// The agent mounts memory below its run directory where /run is on a disk; one that was killed
// leaves the mount.
void RemoveDirectory(const std::string& directory) {
  umount2((directory + "/run/containers").c_str(), MNT_DETACH);
  std::error_code error;
  std::filesystem::remove_all(directory, error);
}

// What a `run` that was killed could not clean up.
void RemoveStaleDirectories(const std::string& base) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(base, error)) {
    const std::string name = entry.path().filename().string();
    pid_t owner = 0;
    if (name.rfind(kDirectoryPrefix, 0) != 0) continue;
    if (!absl::SimpleAtoi(name.substr(std::strlen(kDirectoryPrefix)), &owner)) continue;
    if (kill(owner, 0) != 0 && errno == ESRCH) RemoveDirectory(entry.path().string());
  }
}

}  // namespace

bool LocalServices::Answers(const std::string& address) {
  if (address.rfind("unix:", 0) != 0) return true;
  const std::string path = address.substr(std::strlen("unix:"));
  sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = {}};
  if (path.size() >= sizeof(name.sun_path)) return false;
  path.copy(name.sun_path, path.size());
  const UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return connect(probe.get(), reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0;
}

std::string LocalServices::Directory(Ownership ownership) {
  return StrCat(BaseDirectory(ownership), "/", kDirectoryPrefix, getpid());
}

absl::StatusOr<std::unique_ptr<LocalServices>> LocalServices::Start(const RunOptions& options,
                                                                    Ownership ownership) {
  ASSIGN_OR_RETURN(const std::string control_plane, FindProgram("sallyportd", "controlplane"));
  ASSIGN_OR_RETURN(const std::string agent, FindProgram("sallyport-agent", "agent"));
  ASSIGN_OR_RETURN(const std::string proxy, FindProgram("sallyport-proxy", "agent/proxy"));
  std::unique_ptr<LocalServices> services(new LocalServices());
  RemoveStaleDirectories(BaseDirectory(ownership));
  services->directory_ = Directory(ownership);
  RemoveDirectory(services->directory_);
  std::error_code error;
  // In /tmp somebody else may be first.
  if (mkdir(services->directory_.c_str(), 0700) != 0)
    return absl::ErrnoToStatus(errno, StrCat("cannot make ", services->directory_));

  const std::string& directory = services->directory_;
  RETURN_IF_ERROR(services->Spawn(control_plane, {"--state-dir", directory + "/controlplane",
                                                  "--listen", services->control_plane()}));
  RETURN_IF_ERROR(services->AwaitSocket(services->control_plane()));
  // The policy is that of the user, who may name every file that they read.
  std::vector<std::string> arguments = {"--control-plane", services->control_plane(),
                                        "--socket",        services->agent(),
                                        "--state-dir",     directory + "/agent",
                                        "--run-dir",       directory + "/run",
                                        "--host-name",     StrCat("local-", getpid()),
                                        "--proxy-binary",  proxy,
                                        "--audit",         "/dev/null",
                                        "--secrets-dir",   "/"};
  if (ownership == Ownership::kUser) arguments.insert(arguments.end(), {"--proxy-user", "root"});
  for (const std::string& resolver : options.resolvers)
    arguments.insert(arguments.end(), {"--resolver", resolver});
  for (const std::string& range : options.open_ranges)
    arguments.insert(arguments.end(), {"--open-range", range});
  if (!options.origin_roots.empty())
    arguments.insert(arguments.end(), {"--origin-roots", options.origin_roots});
  RETURN_IF_ERROR(services->Spawn(agent, arguments));
  RETURN_IF_ERROR(services->AwaitSocket(services->agent()));
  return services;
}

LocalServices::~LocalServices() {
  for (auto pid = started_.rbegin(); pid != started_.rend(); ++pid) {
    if (*pid <= 0) continue;
    kill(*pid, SIGTERM);
    const Clock::time_point deadline = Clock::now() + kStopTime;
    while (waitpid(*pid, nullptr, WNOHANG) == 0) {
      if (Clock::now() > deadline) kill(*pid, SIGKILL);
      std::this_thread::sleep_for(kPollTime);
    }
  }
  RemoveDirectory(directory_);
}

absl::Status LocalServices::Spawn(const std::string& program,
                                  const std::vector<std::string>& arguments) {
  const std::string log = directory_ + "/log";
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t self = getpid();
  const pid_t pid = fork();
  if (pid < 0) return absl::ErrnoToStatus(errno, "cannot start a process");
  if (pid == 0) {
    // A process group of its own: what the terminal sends is for the command. It ends when this
    // program does.
    setpgid(0, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != self) _exit(1);
    const int null = open("/dev/null", O_RDONLY);
    const int file = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (null < 0 || file < 0 || dup2(null, 0) < 0 || dup2(file, 1) < 0 || dup2(file, 2) < 0)
      _exit(1);
    execv(argv[0], argv.data());
    _exit(1);
  }
  started_.push_back(pid);
  return absl::OkStatus();
}

absl::Status LocalServices::AwaitSocket(const std::string& address) {
  const Clock::time_point deadline = Clock::now() + kStartTime;
  while (!Answers(address)) {
    const bool ended = waitpid(started_.back(), nullptr, WNOHANG) != 0;
    if (ended) started_.back() = -1;
    if (ended || Clock::now() > deadline) {
      return absl::UnavailableError(
          StrCat("a local service does not start; its log ends with\n", LogTail()));
    }
    std::this_thread::sleep_for(kPollTime);
  }
  return absl::OkStatus();
}

std::string LocalServices::LogTail() const {
  std::ifstream file(directory_ + "/log", std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return text.substr(text.size() > kLogTailBytes ? text.size() - kLogTailBytes : 0);
}

}  // namespace sallyport::cli
