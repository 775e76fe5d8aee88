// A store that forgets: for tests, with faults on demand.

#ifndef SALLYPORT_CONTROLPLANE_STORE_MEMORY_STORE_H_
#define SALLYPORT_CONTROLPLANE_STORE_MEMORY_STORE_H_

#include <memory>
#include <utility>
#include <vector>

#include "controlplane/store/store.h"

namespace sallyport {

// Shared by the test and the storage. Thread-safe.
class StorageFaults {
 public:
  // Commits fail with this until it is set to OK again.
  void Fail(absl::Status status) {
    MutexLock lock(&mutex_);
    status_ = std::move(status);
  }
  absl::Status Next() const {
    MutexLock lock(&mutex_);
    return status_;
  }
  void CountCommit() {
    MutexLock lock(&mutex_);
    ++commits_;
  }
  int commits() const {
    MutexLock lock(&mutex_);
    return commits_;
  }

 private:
  mutable Mutex mutex_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  int commits_ ABSL_GUARDED_BY(mutex_) = 0;
};

class MemoryStorage final : public Storage {
 public:
  explicit MemoryStorage(std::shared_ptr<StorageFaults> faults) : faults_(std::move(faults)) {}
  absl::Status Commit(const State&, const std::vector<Change>&) override {
    faults_->CountCommit();
    return faults_->Next();
  }

 private:
  const std::shared_ptr<StorageFaults> faults_;
};

inline std::unique_ptr<Store> MakeMemoryStore(
    uint64_t epoch = 1, std::shared_ptr<StorageFaults> faults = std::make_shared<StorageFaults>()) {
  State state;
  state.epoch = epoch;
  return std::make_unique<Store>(std::make_unique<MemoryStorage>(std::move(faults)),
                                 std::move(state));
}

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_STORE_MEMORY_STORE_H_
