// How much memory the process uses, and may use.

#ifndef SALLYPORT_AGENT_PROXY_MEMORY_USAGE_H_
#define SALLYPORT_AGENT_PROXY_MEMORY_USAGE_H_

#include <cstdint>

#include "common/base/unique_fd.h"

namespace sallyport::proxy {

// Files of the kernel, opened while the process still sees files. Belongs to one thread.
class MemoryUsage {
 public:
  // What is not there is left out: without a cgroup that counts memory, that of the process alone
  // counts.
  static MemoryUsage Open();

  // In bytes; limit 0: there is none.
  struct Reading {
    uint64_t used = 0;
    uint64_t limit = 0;
  };
  // Of the process against `max_bytes` (0: no limit), or of its cgroup against the cgroup's limit:
  // the one that is closer to its limit. What the kernel keeps of files, and gives back when memory
  // is short, does not count.
  Reading Read(uint64_t max_bytes) const;

 private:
  struct Cgroup {
    UniqueFd limit;    // v2 memory.max, v1 memory.limit_in_bytes.
    UniqueFd current;  // v2 memory.current, v1 memory.usage_in_bytes.
    UniqueFd stat;     // memory.stat.
    bool v2 = false;
  };
  Reading ReadCgroup() const;

  UniqueFd statm_;  // proc(5)
  Cgroup cgroup_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_MEMORY_USAGE_H_
