#include "sdk/cpp/thread_pool.h"

#include <utility>

namespace sallyport {
inline namespace handler_sdk {

ThreadPool::~ThreadPool() {
  std::vector<std::thread> threads;
  {
    MutexLock lock(&mutex_);
    ending_ = true;
    threads.swap(threads_);
  }
  changed_.SignalAll();
  for (std::thread& thread : threads) thread.join();
}

void ThreadPool::Add(std::function<void()> work) {
  {
    MutexLock lock(&mutex_);
    work_.push_back(std::move(work));
    if (work_.size() > idle_ && threads_.size() < static_cast<size_t>(max_threads_)) {
      threads_.emplace_back([this] { Run(); });
    }
  }
  changed_.Signal();
}

void ThreadPool::Run() {
  while (true) {
    std::function<void()> work;
    {
      MutexLock lock(&mutex_);
      ++idle_;
      while (work_.empty() && !ending_) changed_.Wait(&mutex_);
      --idle_;
      if (work_.empty()) return;
      work = std::move(work_.front());
      work_.pop_front();
    }
    work();
  }
}

}  // namespace handler_sdk
}  // namespace sallyport
