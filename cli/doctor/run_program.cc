#include "cli/doctor/run_program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include "absl/strings/str_split.h"
#include "common/base/strings.h"
#include "common/base/unique_fd.h"

namespace sallyport::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMaxOutputBytes = 64 << 10;
constexpr int kCannotExecute = 127;

[[noreturn]] void BecomeProgram(int output, int null, char* const* arguments) {
  setsid();  // It finds no terminal to ask a question on.
  if (dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
      dup2(output, STDERR_FILENO) < 0) {
    _exit(kCannotExecute);
  }
  execvp(arguments[0], arguments);
  _exit(kCannotExecute);
}

// Until nobody can write to it any more. False: the time is over.
bool ReadToEnd(int fd, Clock::time_point deadline, std::string* output) {
  std::array<char, 4096> bytes;
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd waiting{fd, POLLIN, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(std::max<int64_t>(0, left.count())));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    const ssize_t count = read(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return true;
    const size_t room = kMaxOutputBytes - output->size();
    output->append(bytes.data(), std::min(room, static_cast<size_t>(count)));
  }
}

}  // namespace

absl::StatusOr<ProgramEnd> RunProgram(const std::vector<std::string>& arguments,
                                      std::chrono::milliseconds time) {
  int pipe_ends[2];
  const UniqueFd null(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "no pipe can be made");
  const UniqueFd reading(pipe_ends[0]);
  UniqueFd writing(pipe_ends[1]);
  if (!null.valid()) return absl::ErrnoToStatus(errno, "/dev/null cannot be opened");

  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid < 0) return absl::ErrnoToStatus(errno, "no process can be started");
  if (pid == 0) BecomeProgram(writing.get(), null.get(), argv.data());
  writing.Reset();

  ProgramEnd end;
  const bool in_time = ReadToEnd(reading.get(), Clock::now() + time, &end.output);
  if (!in_time) {
    // Its process group, unless it has not made it yet.
    kill(-pid, SIGKILL);
    kill(pid, SIGKILL);
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!in_time) {
    return absl::DeadlineExceededError(StrCat(arguments[0], " has not ended within ",
                                              std::chrono::ceil<std::chrono::seconds>(time).count(),
                                              " s"));
  }
  end.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return end;
}

bool HasProgram(const std::string& name) {
  const char* path = std::getenv("PATH");
  const std::vector<std::string> folders = absl::StrSplit(path == nullptr ? "" : path, ':');
  return std::any_of(folders.begin(), folders.end(), [&](const std::string& folder) {
    return access(StrCat(folder, "/", name).c_str(), X_OK) == 0;
  });
}

}  // namespace sallyport::cli
