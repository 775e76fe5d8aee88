// One thread that does work in the order in which it was given: what takes long, so that no
// gRPC thread does it.

#ifndef SALLYPORT_CONTROLPLANE_WORK_QUEUE_H_
#define SALLYPORT_CONTROLPLANE_WORK_QUEUE_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>

#include "common/base/mutex.h"

namespace sallyport {

// Thread-safe.
class WorkQueue {
 public:
  // At most `capacity` pieces of work wait.
  explicit WorkQueue(size_t capacity);
  // Does what was accepted, then ends.
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // False: full, and the work is not done.
  [[nodiscard]] bool Run(std::function<void()> work);

 private:
  void Loop();

  const size_t capacity_;
  Mutex mutex_;
  CondVar wake_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // Last: starts when the rest is there.
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_WORK_QUEUE_H_
