// Says when processes end.

#ifndef SALLYPORT_AGENT_PROCESS_WATCHER_H_
#define SALLYPORT_AGENT_PROCESS_WATCHER_H_

#include <cstdint>
#include <functional>
#include <thread>

#include "absl/status/status.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {

// Thread-safe.
class ProcessWatcher {
 public:
  // `ended` is called on the watcher's thread, once for each process, with its token.
  explicit ProcessWatcher(std::function<void(uint64_t token)> ended);
  // `ended` is not called any more when this returns.
  ~ProcessWatcher();

  // Until the process ends or `process` (see OpenProcess) is closed.
  absl::Status Watch(const UniqueFd& process, uint64_t token);

 private:
  void Run();

  const std::function<void(uint64_t token)> ended_;
  const UniqueFd epoll_;
  const UniqueFd stop_;  // An eventfd.
  std::thread thread_;   // Last: it uses the rest.
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_PROCESS_WATCHER_H_
