// Looks after what all connections share: memory and descriptors.

#ifndef SALLYPORT_AGENT_PROXY_OVERLOAD_MONITOR_H_
#define SALLYPORT_AGENT_PROXY_OVERLOAD_MONITOR_H_

#include <memory>
#include <thread>

#include "agent/proxy/memory_usage.h"
#include "agent/proxy/overload.h"
#include "common/base/mutex.h"

namespace sallyport::proxy {

// A thread that reads them five times a second, tells `overload`, and gives freed memory back to
// the kernel: after a while, or at once when memory is short.
class OverloadMonitor {
 public:
  // `max_memory_bytes`: see MemoryUsage::Read. What is set at once is set when this returns.
  OverloadMonitor(std::shared_ptr<Overload> overload, MemoryUsage usage, uint64_t max_memory_bytes);
  ~OverloadMonitor();

 private:
  void Run();
  void Look();
  void ReturnFree();

  const std::shared_ptr<Overload> overload_;
  const MemoryUsage usage_;
  const uint64_t max_memory_bytes_;

  // Of the thread.
  Shedding said_ = Shedding::kNothing;
  int looks_until_return_ = 0;

  Mutex mutex_;
  CondVar stop_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;  // Last: it uses the rest.
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_OVERLOAD_MONITOR_H_
