// Notices the end of a process.

#ifndef SALLYPORT_AGENT_PROCESS_WATCH_H_
#define SALLYPORT_AGENT_PROCESS_WATCH_H_

#include <functional>
#include <thread>

#include "common/base/unique_fd.h"

namespace sallyport::agent {

// Calls `ended` once, on a thread of its own, when the process that a pidfd stands for has ended,
// unless it is destroyed before. May be destroyed inside `ended`. Thread-safe.
class ProcessWatch {
 public:
  ProcessWatch(UniqueFd process, std::function<void()> ended);
  ~ProcessWatch();
  ProcessWatch(const ProcessWatch&) = delete;
  ProcessWatch& operator=(const ProcessWatch&) = delete;

 private:
  UniqueFd stop_;  // Closing it ends the wait.
  std::thread thread_;
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_PROCESS_WATCH_H_
