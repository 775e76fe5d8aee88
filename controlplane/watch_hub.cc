#include "controlplane/watch_hub.h"

#include <utility>
#include <vector>

#include "common/base/strings.h"

namespace sallyport {

WatchHub::WatchHub() : poker_([this] { Loop(); }) {}

WatchHub::~WatchHub() {
  {
    MutexLock lock(&mutex_);
    ending_ = true;
  }
  wake_.Signal();
  poker_.join();
}

absl::Status WatchHub::Add(std::shared_ptr<Watcher> watcher) {
  MutexLock lock(&mutex_);
  if (stopped_) return absl::UnavailableError("the control plane stops; watch again");
  if (watchers_.size() >= kMaxWatchers) {
    return absl::ResourceExhaustedError(
        StrCat("the control plane has ", kMaxWatchers,
               " watchers already, and takes no more: end one, or ask again with Get… and List…"));
  }
  const Watcher* const key = watcher.get();
  watchers_.emplace(key, std::move(watcher));
  return absl::OkStatus();
}

void WatchHub::Remove(const Watcher* watcher) {
  std::shared_ptr<Watcher> removed;  // Its last owner must not be destroyed under the lock.
  MutexLock lock(&mutex_);
  const auto it = watchers_.find(watcher);
  if (it == watchers_.end()) return;
  removed = std::move(it->second);
  watchers_.erase(it);
}

void WatchHub::Notify() {
  {
    MutexLock lock(&mutex_);
    notified_ = true;
  }
  wake_.Signal();
}

void WatchHub::Loop() {
  while (true) {
    std::vector<std::shared_ptr<Watcher>> watchers;
    {
      MutexLock lock(&mutex_);
      while (!notified_ && !ending_) wake_.Wait(&mutex_);
      if (ending_) return;
      notified_ = false;
      for (const auto& [key, watcher] : watchers_) watchers.push_back(watcher);
    }
    for (const auto& watcher : watchers) watcher->Poke();
  }
}

void WatchHub::RecheckAll() {
  std::vector<std::shared_ptr<Watcher>> watchers;
  {
    MutexLock lock(&mutex_);
    for (const auto& [key, watcher] : watchers_) watchers.push_back(watcher);
  }
  for (const auto& watcher : watchers) watcher->Recheck();
}

void WatchHub::StopAll() {
  std::vector<std::shared_ptr<Watcher>> watchers;
  {
    MutexLock lock(&mutex_);
    stopped_ = true;
    for (const auto& [key, watcher] : watchers_) watchers.push_back(watcher);
  }
  for (const auto& watcher : watchers) watcher->Stop();
}

}  // namespace sallyport
