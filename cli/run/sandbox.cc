#include "cli/run/sandbox.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "cli/run/exit_status.h"
#include "cli/run/init.h"
#include "common/base/strings.h"

namespace sallyport::cli {
namespace {

// The end of a pipe, both ways.
struct Pipe {
  UniqueFd read;
  UniqueFd write;
};

absl::StatusOr<Pipe> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "cannot make a pipe");
  return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
}

bool DieWithParent(pid_t parent) {
  return prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent;
}

// Ends with the status of init.
[[noreturn]] void Hold(pid_t init) {
  // Signals of the terminal are for the command; those of others come by way of init.
  for (const int number : {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2})
    signal(number, SIG_IGN);
  int status = 0;
  while (waitpid(init, &status, 0) < 0 && errno == EINTR) {
  }
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : kSignalled + WTERMSIG(status));
}

[[noreturn]] void Holder(pid_t parent, Pipe go, Pipe started, const InitTask& task) {
  go.write.Reset();
  started.read.Reset();
  if (!DieWithParent(parent)) _exit(kSallyportFailed);
  if (unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS) != 0)
    _exit(kSallyportFailed);
  const pid_t init = fork();
  if (init < 0) _exit(kSallyportFailed);
  if (init == 0) {
    // In the new PID namespace the parent has no number: 0.
    if (!DieWithParent(0)) _exit(kSallyportFailed);
    started.write.Reset();
    RunInit(std::move(go.read), task);
  }
  go.read.Reset();
  const ssize_t written = write(started.write.get(), &init, sizeof(init));
  started.write.Reset();
  if (written != sizeof(init)) _exit(kSallyportFailed);
  Hold(init);
}

[[noreturn]] void Become(pid_t parent, Pipe go, const InitTask& task) {
  go.write.Reset();
  if (!DieWithParent(parent)) _exit(kSallyportFailed);
  RunWithoutWalls(std::move(go.read), task);
}

}  // namespace

absl::StatusOr<Sandbox> Sandbox::Start(Walls walls, InitTask task) {
  absl::StatusOr<Pipe> go = MakePipe();
  if (!go.ok()) return go.status();
  absl::StatusOr<Pipe> started = MakePipe();
  if (!started.ok()) return started.status();
  const pid_t self = getpid();
  Sandbox sandbox;
  sandbox.holder_ = fork();
  if (sandbox.holder_ < 0) return absl::ErrnoToStatus(errno, "cannot start a process");
  if (sandbox.holder_ == 0) {
    if (walls == Walls::kNone) Become(self, *std::move(go), task);
    Holder(self, *std::move(go), *std::move(started), task);
  }
  if (walls == Walls::kNone) {
    sandbox.init_ = sandbox.holder_;
    sandbox.go_ = std::move(go->write);
    return sandbox;
  }
  started->write.Reset();
  if (read(started->read.get(), &sandbox.init_, sizeof(pid_t)) != sizeof(pid_t)) {
    return absl::InternalError(
        "cannot make namespaces; is this kernel built with network, mount, PID, IPC and UTS "
        "namespaces, and may this process make them?");
  }
  sandbox.go_ = std::move(go->write);
  return sandbox;
}

Sandbox::Sandbox(Sandbox&& other) noexcept
    : holder_(std::exchange(other.holder_, -1)),
      init_(std::exchange(other.init_, -1)),
      go_(std::move(other.go_)) {}

Sandbox::~Sandbox() {
  go_.Reset();
  int ignored = 0;
  if (holder_ > 0 && !Ended(&ignored)) {
    kill(holder_, SIGKILL);
    waitpid(holder_, nullptr, 0);
  }
}

absl::Status Sandbox::Release(const SandboxContents& contents) {
  // Text, its length before each; RunInit reads the same.
  for (const std::string* text :
       {&contents.ca_certificate, &contents.bundle, &contents.proxy_url}) {
    if (!WriteText(go_.get(), *text))
      return absl::UnavailableError("the sandbox ended before its command was started");
  }
  go_.Reset();
  return absl::OkStatus();
}

void Sandbox::Signal(int signal) const {
  if (holder_ > 0) kill(init_, signal);
}

bool Sandbox::Ended(int* exit_status) {
  int status = 0;
  if (waitpid(holder_, &status, WNOHANG) != holder_) return false;
  const pid_t ended = std::exchange(holder_, -1);
  *exit_status = WIFEXITED(status) ? WEXITSTATUS(status)
                 : init_ == ended  ? kSignalled + WTERMSIG(status)
                                   : kSallyportFailed;
  return true;
}

}  // namespace sallyport::cli
