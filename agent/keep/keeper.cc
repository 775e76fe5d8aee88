#include "agent/keep/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/keep/fd_store.h"
#include "agent/keep/notifications.h"
#include "common/base/log.h"
#include "common/base/status.h"

namespace sallyport::agent {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr int kCannotExecute = 126;
constexpr int kFirstInherited = 3;
constexpr milliseconds kFirstPause{20};
constexpr milliseconds kLongestPause{1000};

std::string EndOf(int status) {
  if (WIFSIGNALED(status)) return absl::StrCat("it was ended by signal ", WTERMSIG(status));
  if (WEXITSTATUS(status) == kCannotExecute) return "its program cannot be executed";
  return absl::StrCat("it exited with status ", WEXITSTATUS(status));
}

class Keeper {
 public:
  Keeper(const KeeperOptions& options, Notifications notifications, UniqueFd signals)
      : options_(options),
        notifications_(std::move(notifications)),
        signals_(std::move(signals)),
        outer_(FdStore::FromEnvironment()) {}

  int Run() {
    while (!result_.has_value()) {
      if (agent_ == 0 && Clock::now() >= start_at_) Start();
      pollfd waiting[2] = {{notifications_.handle(), POLLIN, 0}, {signals_.get(), POLLIN, 0}};
      poll(waiting, 2, TimeLeft());
      Hear();
      if (waiting[1].revents != 0) OnSignal();
      LetGoIfAlone();
    }
    return *result_;
  }

 private:
  void Start() {
    const pid_t keeper = getpid();
    agent_ = fork();
    if (agent_ == 0) BecomeAgent(keeper);
    if (agent_ > 0) return;
    agent_ = 0;
    Schedule(absl::StrCat("no process for it (errno ", errno, ")"));
  }

  // In the child; this program has one thread, so that anything may be called.
  [[noreturn]] void BecomeAgent(pid_t keeper) {
    // What is kept is kept here: without it an agent would be the last to hold it.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != keeper) _exit(kCannotExecute);
    // One that is passed on while it starts waits until it takes them, and does not end it.
    sigset_t taken_later;
    sigemptyset(&taken_later);
    sigaddset(&taken_later, SIGUSR1);
    sigaddset(&taken_later, SIGUSR2);
    sigprocmask(SIG_SETMASK, &taken_later, nullptr);
    std::vector<std::string> names;
    std::vector<int> high;
    const int above = kFirstInherited + static_cast<int>(kept_.size());
    for (const Inherited& one : kept_) {
      names.push_back(one.name);
      high.push_back(fcntl(one.fd.get(), F_DUPFD_CLOEXEC, above));
    }
    for (size_t i = 0; i < high.size(); ++i) {
      if (dup2(high[i], kFirstInherited + static_cast<int>(i)) < 0) _exit(kCannotExecute);
    }
    setenv("NOTIFY_SOCKET", notifications_.address().c_str(), 1);
    setenv("LISTEN_PID", absl::StrCat(getpid()).c_str(), 1);
    setenv("LISTEN_FDS", absl::StrCat(kept_.size()).c_str(), 1);
    setenv("LISTEN_FDNAMES", absl::StrJoin(names, ":").c_str(), 1);
    std::vector<char*> argv = {const_cast<char*>(options_.program.c_str())};
    for (const std::string& argument : options_.arguments)
      argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    execv(options_.program.c_str(), argv.data());
    _exit(kCannotExecute);
  }

  // Before an agent's end is looked at: what it said last counts.
  void Hear() {
    while (std::optional<Notification> said = notifications_.Next()) {
      if (agent_ == 0 || said->sender != agent_) continue;
      if (said->ready) OnReady();
      stopping_ = stopping_ || said->stopping;
      if (said->store) {
        for (UniqueFd& fd : said->fds) kept_.push_back({said->name, std::move(fd)});
      }
      if (said->remove)
        std::erase_if(kept_, [&](const Inherited& one) { return one.name == said->name; });
    }
  }

  void OnReady() {
    was_ready_ = true;
    alone_since_.reset();
    pause_ = milliseconds(0);
    outer_.Tell("READY=1");
  }

  void OnSignal() {
    signalfd_siginfo info;
    while (read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
      if (info.ssi_signo == SIGCHLD) {
        Reap();
        continue;
      }
      if (info.ssi_signo == SIGUSR1 || info.ssi_signo == SIGUSR2) {
        if (agent_ != 0) kill(agent_, static_cast<int>(info.ssi_signo));
        continue;
      }
      const bool stop = info.ssi_signo != SIGHUP;
      stopping_ = stopping_ || stop;
      if (agent_ != 0) {
        kill(agent_, stop ? SIGTERM : SIGHUP);
      } else if (stop) {
        result_ = EXIT_SUCCESS;
      }
    }
  }

  // Proxies that their agent left behind come to this process, too.
  void Reap() {
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
      if (pid != agent_) continue;
      Hear();
      agent_ = 0;
      if (stopping_ || (!was_ready_ && WIFEXITED(status))) {
        result_ = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
        return;
      }
      Schedule(EndOf(status));
    }
  }

  void Schedule(const std::string& why) {
    if (!alone_since_.has_value()) alone_since_ = Clock::now();
    LogWarning("the agent ended: ", why, "; starting it anew in ", pause_.count(),
               " ms, its containers are served meanwhile");
    start_at_ = Clock::now() + pause_;
    pause_ = std::clamp(pause_ * 2, kFirstPause, kLongestPause);
  }

  void LetGoIfAlone() {
    if (!alone_since_.has_value() || Clock::now() - *alone_since_ < options_.keep_for) return;
    if (kept_.empty()) return;
    LogError("no agent has become ready for ", options_.keep_for.count(),
             " ms: containers have no way out from here on");
    kept_.clear();
  }

  int TimeLeft() const {
    std::optional<Clock::time_point> next;
    if (agent_ == 0) next = start_at_;
    if (alone_since_.has_value() && !kept_.empty()) {
      const Clock::time_point end = *alone_since_ + options_.keep_for;
      next = next.has_value() ? std::min(*next, end) : end;
    }
    if (!next.has_value()) return -1;
    const auto left = std::chrono::ceil<milliseconds>(*next - Clock::now());
    return static_cast<int>(std::max<int64_t>(left.count(), 0));
  }

  const KeeperOptions& options_;
  Notifications notifications_;
  const UniqueFd signals_;
  const FdStore outer_;  // Of whoever started this.
  std::vector<Inherited> kept_;
  pid_t agent_ = 0;  // 0: none runs.
  bool was_ready_ = false;
  bool stopping_ = false;
  Clock::time_point start_at_ = Clock::now();
  milliseconds pause_{0};
  std::optional<Clock::time_point> alone_since_;  // Without an agent that is ready.
  std::optional<int> result_;
};

}  // namespace

absl::StatusOr<int> RunKeeper(const KeeperOptions& options) {
  ASSIGN_OR_RETURN(Notifications notifications, Notifications::Open());
  sigset_t watched;
  sigemptyset(&watched);
  for (const int one : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2})
    sigaddset(&watched, one);
  sigprocmask(SIG_BLOCK, &watched, nullptr);
  UniqueFd signals(signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals.valid() || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
    return absl::ErrnoToStatus(errno, "the agent's end cannot be watched for");
  return Keeper(options, std::move(notifications), std::move(signals)).Run();
}

}  // namespace sallyport::agent
