#include "agent/testing/test_network.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"

namespace sallyport::agent {

TestNetwork::TestNetwork() {
  std::thread inside([this] {
    SALLYPORT_CHECK(unshare(CLONE_NEWNET) == 0);
    fd_.Reset(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  });
  inside.join();
  SALLYPORT_CHECK(fd_.valid());
  path_ = absl::StrCat("/proc/", getpid(), "/fd/", fd_.get());
}

NetworkNamespace TestNetwork::Open() const {
  absl::StatusOr<NetworkNamespace> network = NetworkNamespace::OfPath(path_);
  SALLYPORT_CHECK(network.ok());
  return *std::move(network);
}

void TestNetwork::Run(const std::function<void()>& work) const {
  const absl::Status status = Open().Run([&work] {
    work();
    return absl::OkStatus();
  });
  SALLYPORT_CHECK(status.ok());
}

UniqueFd TestNetwork::Socket(int family, int type, int protocol) const {
  UniqueFd made;
  Run([&] { made.Reset(socket(family, type | SOCK_CLOEXEC, protocol)); });
  SALLYPORT_CHECK(made.valid());
  return made;
}

TestProcess::TestProcess() {
  int ready[2];
  SALLYPORT_CHECK(pipe2(ready, O_CLOEXEC) == 0);
  const pid_t parent = getpid();
  pid_ = fork();
  SALLYPORT_CHECK(pid_ >= 0);
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || unshare(CLONE_NEWNET) != 0) _exit(1);
    if (write(ready[1], "r", 1) != 1) _exit(1);
    for (;;) pause();
  }
  close(ready[1]);
  char byte;
  SALLYPORT_CHECK(read(ready[0], &byte, 1) == 1);
  close(ready[0]);
}

void TestProcess::End() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(std::exchange(pid_, -1), nullptr, 0);
}

TestAddress::TestAddress(const std::string& host, uint16_t port) {
  auto* const v4 = reinterpret_cast<sockaddr_in*>(&storage_);
  auto* const v6 = reinterpret_cast<sockaddr_in6*>(&storage_);
  if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    return;
  }
  SALLYPORT_CHECK(inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1);
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(port);
}

socklen_t TestAddress::length() const {
  return family() == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
}

std::string TestAddress::ToString() const {
  char text[INET6_ADDRSTRLEN] = {};
  const auto* const v4 = reinterpret_cast<const sockaddr_in*>(&storage_);
  const auto* const v6 = reinterpret_cast<const sockaddr_in6*>(&storage_);
  if (family() == AF_INET) {
    inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
    return absl::StrCat(text, ":", ntohs(v4->sin_port));
  }
  inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
  return absl::StrCat("[", text, "]:", ntohs(v6->sin6_port));
}

bool WaitFor(int fd, short events) {
  pollfd ready{fd, events, 0};
  return poll(&ready, 1, 5000) == 1;
}

}  // namespace sallyport::agent
