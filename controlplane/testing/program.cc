#include "controlplane/testing/program.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/check.h"

namespace sallyport {
namespace {

std::vector<char*> Pointers(std::vector<std::string>* strings) {
  std::vector<char*> pointers;
  for (std::string& string : *strings) pointers.push_back(string.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

Program::Program(std::vector<std::string> arguments, std::vector<std::string> environment) {
  int ends[2];
  SALLYPORT_CHECK(::pipe2(ends, O_CLOEXEC) == 0);
  output_.Reset(ends[0]);
  const UniqueFd input(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, input.get(), STDERR_FILENO);
  arguments.insert(arguments.begin(), "controlplane/sallyportd");
  for (char** variable = environ; *variable != nullptr; ++variable) {
    environment.emplace_back(*variable);
  }
  SALLYPORT_CHECK(posix_spawn(&pid_, arguments[0].c_str(), &actions, nullptr,
                              Pointers(&arguments).data(), Pointers(&environment).data()) == 0);
  posix_spawn_file_actions_destroy(&actions);
}

Program::~Program() {
  if (pid_ <= 0) return;
  Signal(SIGKILL);
  Wait();
}

std::string Program::ReadTo(const std::string& end) {
  std::string text;
  char byte = 0;
  while (!text.ends_with(end) && ::read(output_.get(), &byte, 1) == 1) text.push_back(byte);
  return text;
}

void Program::Signal(int signal) { ::kill(pid_, signal); }

int Program::Wait() {
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace sallyport
