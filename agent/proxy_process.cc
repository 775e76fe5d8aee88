#include "agent/proxy_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/ipc/door.h"

namespace sallyport::agent {
namespace {

// Exit statuses of a child that did not come to be the proxy.
constexpr int kCannotExecute = 126;

// In the child. Only what POSIX allows after a fork in a program with threads: nothing that
// allocates or locks.
[[noreturn]] void BecomeProxy(pid_t parent, ProxyProcess::Life life, int null, int socket,
                              const char* binary, char* const* arguments) {
  // The other way by which it learns that nobody needs it is the door.
  if (life == ProxyProcess::Life::kWithAgent) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(kCannotExecute);
  }
  // Signals that a terminal sends are for the agent, which stops the proxy in its own order.
  setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  // `null` and `socket` are above kProxyControlFd, so none of these steps on another.
  if (dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
      dup2(socket, kProxyControlFd) < 0) {
    _exit(kCannotExecute);
  }
  syscall(SYS_close_range, kProxyControlFd + 1, ~0U, 0);
  char* const environment[] = {nullptr};
  execve(binary, arguments, environment);
  _exit(kCannotExecute);
}

// A copy above the descriptors that the child uses.
UniqueFd MoveUp(UniqueFd fd) {
  return UniqueFd(fcntl(fd.get(), F_DUPFD_CLOEXEC, kProxyControlFd + 1));
}

}  // namespace

absl::StatusOr<ProxyProcess> ProxyProcess::Start(const std::string& binary,
                                                 const std::vector<std::string>& arguments,
                                                 Life life) {
  ASSIGN_OR_RETURN(Door door, MakeDoor());
  const UniqueFd theirs = MoveUp(std::move(door.inside));
  const UniqueFd null = MoveUp(UniqueFd(open("/dev/null", O_RDWR | O_CLOEXEC)));
  if (!theirs.valid() || !null.valid())
    return absl::ErrnoToStatus(errno, "no descriptors for the proxy");

  std::vector<char*> argv = {const_cast<char*>(binary.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return absl::ErrnoToStatus(errno, "the proxy cannot be forked");
  if (pid == 0) BecomeProxy(parent, life, null.get(), theirs.get(), binary.c_str(), argv.data());

  // Nobody else reaps it, so the id is still its own.
  UniqueFd handle(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!handle.valid()) {
    const int error = errno;
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return absl::ErrnoToStatus(error, "the proxy cannot be watched");
  }
  return ProxyProcess(pid, std::move(handle), std::move(door.outside));
}

ProxyProcess::~ProxyProcess() {
  if (!handle_.valid()) return;
  Kill();
  Wait();
}

void ProxyProcess::Kill() const {
  syscall(SYS_pidfd_send_signal, handle_.get(), SIGKILL, nullptr, 0);
}

std::string ProxyProcess::Wait() {
  // Also of one that is not this process's child.
  pollfd ended{handle_.get(), POLLIN, 0};
  while (poll(&ended, 1, -1) < 0 && errno == EINTR) {
  }
  siginfo_t info{};
  int result;
  do {
    result = waitid(P_PIDFD, static_cast<id_t>(handle_.get()), &info, WEXITED);
  } while (result != 0 && errno == EINTR);
  handle_.Reset();
  if (result != 0) return "it is gone";
  if (info.si_code != CLD_EXITED) return absl::StrCat("it was ended by signal ", info.si_status);
  if (info.si_status == kCannotExecute) return "its program cannot be executed";
  return absl::StrCat("it exited with status ", info.si_status);
}

}  // namespace sallyport::agent
