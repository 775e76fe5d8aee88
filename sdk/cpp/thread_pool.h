// Threads for handlers, which may block.

#ifndef SALLYPORT_SDK_CPP_THREAD_POOL_H_
#define SALLYPORT_SDK_CPP_THREAD_POOL_H_

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "common/base/mutex.h"

namespace sallyport {
inline namespace handler_sdk {

// Starts a thread when there is work and none is idle, up to a limit; then work waits its turn.
// Thread-safe.
class ThreadPool {
 public:
  explicit ThreadPool(int max_threads) : max_threads_(max_threads) {}
  // Waits for all work. REQUIRES: no more is added.
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  void Add(std::function<void()> work);

 private:
  void Run();

  const int max_threads_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> work_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
  size_t idle_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace handler_sdk
}  // namespace sallyport

#endif  // SALLYPORT_SDK_CPP_THREAD_POOL_H_
