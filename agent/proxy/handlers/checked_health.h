// What the health checks of one endpoint say.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_CHECKED_HEALTH_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_CHECKED_HEALTH_H_

#include <atomic>
#include <string>
#include <utility>

#include "common/base/mutex.h"

namespace sallyport::proxy {

// Thread-safe. Written by the checker, read by every worker for every call.
class CheckedHealth {
 public:
  enum class Verdict { kMayBeCalled, kMayNot };

  bool may_be_called() const { return may_be_called_.load(std::memory_order_relaxed); }
  // "": it is not checked. "unknown": no answer yet. "serving", or why it may not be called.
  std::string text() const {
    MutexLock lock(&mutex_);
    return text_;
  }
  void Set(Verdict verdict, std::string text) {
    may_be_called_.store(verdict == Verdict::kMayBeCalled, std::memory_order_relaxed);
    MutexLock lock(&mutex_);
    text_ = std::move(text);
  }

 private:
  std::atomic<bool> may_be_called_{true};
  mutable Mutex mutex_;
  std::string text_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_CHECKED_HEALTH_H_
