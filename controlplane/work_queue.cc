#include "controlplane/work_queue.h"

#include <utility>

namespace sallyport {

WorkQueue::WorkQueue(size_t capacity) : capacity_(capacity), thread_([this] { Loop(); }) {}

WorkQueue::~WorkQueue() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  wake_.Signal();
  thread_.join();
}

bool WorkQueue::Run(std::function<void()> work) {
  {
    MutexLock lock(&mutex_);
    if (queue_.size() >= capacity_) return false;
    queue_.push_back(std::move(work));
  }
  wake_.Signal();
  return true;
}

void WorkQueue::Loop() {
  while (true) {
    std::function<void()> work;
    {
      MutexLock lock(&mutex_);
      while (queue_.empty() && !stopping_) wake_.Wait(&mutex_);
      if (queue_.empty()) return;
      work = std::move(queue_.front());
      queue_.pop_front();
    }
    work();
  }
}

}  // namespace sallyport
