#include "agent/testing/proxy_fixture.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "common/base/check.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {

ProxyFixture::ProxyFixture() {
  std::string pattern = "/dev/shm/sallyport-agent.XXXXXX";
  SALLYPORT_CHECK(mkdtemp(pattern.data()) != nullptr);
  directory_ = pattern;
  absl::StatusOr<std::unique_ptr<PolicyCache>> cache = PolicyCache::Open(directory_ + "/state");
  SALLYPORT_CHECK(cache.ok());
  cache_ = *std::move(cache);
}

ProxyFixture::~ProxyFixture() { std::filesystem::remove_all(directory_); }

ProxySupervisor::Options ProxyFixture::Options(std::vector<std::string> flags) const {
  ProxySupervisor::Options options;
  options.program.binary = std::filesystem::absolute("agent/testing/fake_proxy");
  options.program.arguments = std::move(flags);
  options.program.arguments.push_back("--log=" + directory_ + "/log");
  options.configure.set_workers(2);
  return options;
}

std::unique_ptr<ProxySupervisor> ProxyFixture::Supervisor(std::vector<std::string> flags) {
  return std::make_unique<ProxySupervisor>(Options(std::move(flags)), cache_.get(), &no_store_);
}

std::vector<std::string> ProxyFixture::Log() const {
  std::ifstream file(directory_ + "/log");
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

bool ProxyFixture::WaitForLine(const std::string& line, int nth) const {
  UniqueFd changes(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  inotify_add_watch(changes.get(), directory_.c_str(), IN_MODIFY | IN_CREATE);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  for (;;) {
    const std::vector<std::string> log = Log();
    if (std::count(log.begin(), log.end(), line) >= nth) return true;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd changed{changes.get(), POLLIN, 0};
    poll(&changed, 1, static_cast<int>(left.count()));
    alignas(inotify_event) char events[4096];
    while (read(changes.get(), events, sizeof(events)) > 0) {
    }
  }
}

std::chrono::steady_clock::time_point TestDeadline() {
  return std::chrono::steady_clock::now() + std::chrono::seconds(30);
}

v1::Delta TestDelta(uint64_t revision, const std::vector<std::string>& containers) {
  v1::Delta delta;
  delta.set_epoch(1);
  delta.set_revision(revision);
  for (const std::string& id : containers) {
    v1::Resource* const resource = delta.add_updated();
    resource->set_revision(revision);
    resource->mutable_container()->set_container_id(id);
    resource->mutable_container()->set_class_name("agents");
  }
  return delta;
}

}  // namespace sallyport::agent
