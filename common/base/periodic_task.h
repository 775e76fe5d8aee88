// A function that is called now and then.

#ifndef SALLYPORT_COMMON_BASE_PERIODIC_TASK_H_
#define SALLYPORT_COMMON_BASE_PERIODIC_TASK_H_

#include <chrono>
#include <functional>
#include <thread>

#include "common/base/mutex.h"

namespace sallyport {

// A member that uses others of its class goes last, so that it ends before they do.
class PeriodicTask {
 public:
  // Calls `task` from a thread of its own, first after one period, then a period after each call
  // has ended.
  PeriodicTask(std::chrono::milliseconds period, std::function<void()> task);
  // Waits for a call that is under way; there is none afterwards.
  ~PeriodicTask();
  PeriodicTask(const PeriodicTask&) = delete;
  PeriodicTask& operator=(const PeriodicTask&) = delete;

 private:
  void Run();
  // False: it is to end.
  bool AwaitNext();

  const std::chrono::milliseconds period_;
  const std::function<void()> task_;

  Mutex mutex_;
  CondVar stopped_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // Last: it uses the rest.
};

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_BASE_PERIODIC_TASK_H_
