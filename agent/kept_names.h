// What containers are called in the store of descriptors.

#ifndef SALLYPORT_AGENT_KEPT_NAMES_H_
#define SALLYPORT_AGENT_KEPT_NAMES_H_

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>

#include "absl/status/statusor.h"

namespace sallyport::agent {

// A process gets the names of all that is kept for it in one variable (sd_listen_fds(3),
// LISTEN_FDNAMES), and execve(2) takes 128 KiB of one variable: with more names than that no next
// agent can be executed at all. A name has four characters and a colon; some 500 bytes are left for
// proxies.
inline constexpr size_t kMaxKeptContainers = 26'000;

// Not thread-safe.
class KeptNames {
 public:
  // A name that nothing has. RESOURCE_EXHAUSTED: kMaxKeptContainers have one.
  absl::StatusOr<std::string> Take();
  // What an agent before this one has taken.
  void NoteTaken(const std::string& name) { taken_.insert(name); }
  // REQUIRES: the store was told to forget it.
  void GiveBack(const std::string& name) { taken_.erase(name); }

 private:
  std::set<std::string> taken_;
  // One that was given back is not taken again soon.
  uint32_t next_ = 0;
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_KEPT_NAMES_H_
