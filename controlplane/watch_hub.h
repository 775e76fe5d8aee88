// The callers that watch, and how they hear that there is news.

#ifndef SALLYPORT_CONTROLPLANE_WATCH_HUB_H_
#define SALLYPORT_CONTROLPLANE_WATCH_HUB_H_

#include <cstddef>
#include <map>
#include <memory>
#include <thread>

#include "absl/status/status.h"
#include "common/base/mutex.h"

namespace sallyport {

// One watcher's stream, as the hub sees it.
class Watcher {
 public:
  virtual ~Watcher() = default;
  // There may be something new to say.
  virtual void Poke() = 0;
  // Ends with UNAVAILABLE.
  virtual void Stop() = 0;
  // Ends if its caller's certificate has expired, or is revoked.
  virtual void Recheck() = 0;
};

// Thread-safe. Calls watchers with no lock held.
class WatchHub {
 public:
  // Each costs work at each change of policy.
  static constexpr size_t kMaxWatchers = 100;

  WatchHub();
  ~WatchHub();
  WatchHub(const WatchHub&) = delete;
  WatchHub& operator=(const WatchHub&) = delete;

  // RESOURCE_EXHAUSTED if there are too many already, UNAVAILABLE after StopAll.
  absl::Status Add(std::shared_ptr<Watcher> watcher);
  void Remove(const Watcher* watcher);
  // Pokes all, soon and on the hub's thread; calls that come before that are one.
  void Notify();
  void StopAll();
  void RecheckAll();

 private:
  void Loop();

  Mutex mutex_;
  CondVar wake_;
  bool notified_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<const Watcher*, std::shared_ptr<Watcher>> watchers_ ABSL_GUARDED_BY(mutex_);
  std::thread poker_;  // Last: it uses the rest.
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_WATCH_HUB_H_
