// Network namespaces for tests. They have no names, and are gone when nothing holds them.

#ifndef SALLYPORT_AGENT_TESTING_TEST_NETWORK_H_
#define SALLYPORT_AGENT_TESTING_TEST_NETWORK_H_

#include <sys/socket.h>
#include <sys/types.h>

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "agent/attach/netns.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {

// A new, empty namespace. Fails the program without the right to make one.
class TestNetwork {
 public:
  TestNetwork();

  // A path by which any process of root can open it, while this object is there.
  const std::string& path() const { return path_; }
  NetworkNamespace Open() const;
  void Run(const std::function<void()>& work) const;
  // A socket inside.
  UniqueFd Socket(int family, int type, int protocol = 0) const;

 private:
  UniqueFd fd_;
  std::string path_;
};

// A process that does nothing, in a network namespace of its own, until it is ended.
class TestProcess {
 public:
  TestProcess();
  ~TestProcess() { End(); }

  pid_t pid() const { return pid_; }
  void End();

 private:
  pid_t pid_ = -1;
};

// "198.51.100.7:80", "[2001:db8::7]:80".
class TestAddress {
 public:
  TestAddress(const std::string& host, uint16_t port);
  explicit TestAddress(const sockaddr_storage& storage) : storage_(storage) {}

  int family() const { return storage_.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t length() const;
  std::string ToString() const;

 private:
  sockaddr_storage storage_{};
};

// Waits until `fd` has one of `events` (or an error), 5 s at most. False: it has not.
bool WaitFor(int fd, short events);

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_TESTING_TEST_NETWORK_H_
