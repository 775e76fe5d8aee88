#include "common/base/periodic_task.h"

#include <utility>

namespace sallyport {

PeriodicTask::PeriodicTask(std::chrono::milliseconds period, std::function<void()> task)
    : period_(period), task_(std::move(task)), thread_([this] { Run(); }) {}

PeriodicTask::~PeriodicTask() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    stopped_.SignalAll();
  }
  thread_.join();
}

void PeriodicTask::Run() {
  while (AwaitNext()) task_();
}

bool PeriodicTask::AwaitNext() {
  MutexLock lock(&mutex_);
  const auto next = std::chrono::steady_clock::now() + period_;
  while (!stopping_ && std::chrono::steady_clock::now() < next) {
    stopped_.WaitUntil(&mutex_, next);
  }
  return !stopping_;
}

}  // namespace sallyport
