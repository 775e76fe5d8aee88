#include "cli/run/init.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "agent/attach/trust.h"
#include "cli/run/capabilities.h"
#include "cli/run/exit_status.h"
#include "cli/run/mounts.h"

namespace sallyport::cli {
namespace {

constexpr uint32_t kMaxText = 16 * 1024 * 1024;

bool WriteAll(int fd, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t written = write(fd, data, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    data += written;
    size -= static_cast<size_t>(written);
  }
  return true;
}

bool ReadAll(int fd, char* data, size_t size) {
  while (size > 0) {
    const ssize_t count = read(fd, data, size);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    data += count;
    size -= static_cast<size_t>(count);
  }
  return true;
}

[[noreturn]] void Fail(const std::string& message) {
  std::fprintf(stderr, "sallyport run: %s\n", message.c_str());
  _exit(kSallyportFailed);
}

sigset_t Forwarded() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH})
    sigaddset(&set, number);
  return set;
}

// The texts of Sandbox::Release. Nobody lets the sandbox go on: Sallyport has failed, and says so
// itself.
struct Contents {
  std::string ca_certificate;
  std::string bundle;
  std::string proxy_url;
};

Contents AwaitContents(UniqueFd go) {
  Contents contents;
  for (std::string* text : {&contents.ca_certificate, &contents.bundle, &contents.proxy_url}) {
    if (!ReadText(go.get(), text)) _exit(kSallyportFailed);
  }
  return contents;
}

// By which programs find their proxy: each knows some of them, in one spelling or the other. What
// is on loopback is the program's own.
void SetProxy(const std::string& url) {
  for (const char* variable :
       {"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"})
    setenv(variable, url.c_str(), 1);
  for (const char* variable : {"NO_PROXY", "no_proxy"})
    setenv(variable, "localhost,127.0.0.1,::1", 1);
  setenv("NODE_USE_ENV_PROXY", "1", 1);
}

void SetEnvironment(const InitTask& task) {
  const std::string bundle = task.certificates + "/" + agent::kBundleFileName;
  for (const std::string_view variable : agent::kTrustVariables) {
    setenv(std::string(variable).c_str(), bundle.c_str(), 1);
  }
  for (const std::string& text : task.environment) {
    const size_t equals = text.find('=');
    setenv(text.substr(0, equals).c_str(), text.substr(equals + 1).c_str(), 1);
  }
}

[[noreturn]] void Execute(const InitTask& task) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC);
  std::vector<char*> arguments;
  for (const std::string& argument : task.command)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  const int error = errno;
  std::fprintf(stderr, "sallyport run: %s: %s\n", arguments[0], std::strerror(error));
  _exit(error == ENOENT ? kNotFound : kCannotExecute);
}

// Reaps everything; returns the command's exit status once it has ended. What it left running ends
// with this process.
int Supervise(pid_t command) {
  sigset_t awaited = Forwarded();
  sigaddset(&awaited, SIGCHLD);
  while (true) {
    siginfo_t info = {};
    const int number = sigwaitinfo(&awaited, &info);
    if (number < 0) continue;
    if (number != SIGCHLD) {
      // What the terminal sent went to the command too: it is in the same process group.
      if (info.si_code != SI_KERNEL) kill(command, number);
      continue;
    }
    int status = 0;
    while (const pid_t ended = waitpid(-1, &status, WNOHANG)) {
      if (ended < 0) break;
      if (ended == command)
        return WIFEXITED(status) ? WEXITSTATUS(status) : kSignalled + WTERMSIG(status);
    }
  }
}

}  // namespace

bool WriteText(int fd, const std::string& text) {
  const uint32_t size = static_cast<uint32_t>(text.size());
  return WriteAll(fd, reinterpret_cast<const char*>(&size), sizeof(size)) &&
         WriteAll(fd, text.data(), size);
}

bool ReadText(int fd, std::string* text) {
  uint32_t size = 0;
  if (!ReadAll(fd, reinterpret_cast<char*>(&size), sizeof(size)) || size > kMaxText) return false;
  text->resize(size);
  return ReadAll(fd, text->data(), size);
}

void RunInit(UniqueFd go, const InitTask& task) {
  sigset_t blocked = Forwarded();
  sigaddset(&blocked, SIGCHLD);
  sigprocmask(SIG_BLOCK, &blocked, nullptr);

  const Contents contents = AwaitContents(std::move(go));
  absl::Status prepared =
      PrepareMounts(task.certificates, contents.ca_certificate, contents.bundle, task.services);
  if (prepared.ok() && task.user.has_value()) prepared = BecomeUserAgain(*task.user);
  if (!prepared.ok()) Fail(std::string(prepared.message()));
  SetEnvironment(task);
  if (const absl::Status status = LimitCapabilities(); !status.ok())
    Fail(std::string(status.message()));

  // Asked to stop before the command was there to be told.
  const sigset_t forwarded = Forwarded();
  const timespec now = {};
  const int early = sigtimedwait(&forwarded, nullptr, &now);
  if (early > 0 && early != SIGWINCH) _exit(kSignalled + early);

  const pid_t command = fork();
  if (command < 0) Fail("cannot start a process");
  if (command == 0) Execute(task);
  _exit(Supervise(command));
}

void RunWithoutWalls(UniqueFd go, const InitTask& task) {
  const Contents contents = AwaitContents(std::move(go));
  if (const absl::Status status =
          WriteCertificates(task.certificates, contents.ca_certificate, contents.bundle);
      !status.ok())
    Fail(std::string(status.message()));
  if (task.user.has_value()) {
    if (const absl::Status status = BecomeUserAgain(*task.user); !status.ok())
      Fail(std::string(status.message()));
  }
  SetProxy(contents.proxy_url);
  SetEnvironment(task);
  Execute(task);
}

}  // namespace sallyport::cli
