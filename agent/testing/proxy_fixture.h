// For tests of what drives a proxy: a scratch directory, a policy cache, and options that start the
// fake proxy.

#ifndef SALLYPORT_AGENT_TESTING_PROXY_FIXTURE_H_
#define SALLYPORT_AGENT_TESTING_PROXY_FIXTURE_H_

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "agent/policy_cache.h"
#include "agent/proxy_supervisor.h"

namespace sallyport::agent {

class ProxyFixture {
 public:
  ProxyFixture();
  ~ProxyFixture();

  // `flags`: of the fake proxy, e.g. "--reject=web-1".
  ProxySupervisor::Options Options(std::vector<std::string> flags = {}) const;
  std::unique_ptr<ProxySupervisor> Supervisor(std::vector<std::string> flags = {});

  PolicyCache* cache() { return cache_.get(); }
  const FdStore* no_store() const { return &no_store_; }
  const std::string& directory() const { return directory_; }
  // What the fake proxies were told, in order.
  std::vector<std::string> Log() const;
  // Waits until the log has `line` as its nth (from 1), 10 s at most.
  bool WaitForLine(const std::string& line, int nth = 1) const;

 private:
  std::string directory_;  // In memory.
  std::unique_ptr<PolicyCache> cache_;
  const FdStore no_store_;
};

// Far away.
std::chrono::steady_clock::time_point TestDeadline();

// A delta that adds rules for `containers`, all of the class "agents".
v1::Delta TestDelta(uint64_t revision, const std::vector<std::string>& containers);

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_TESTING_PROXY_FIXTURE_H_
