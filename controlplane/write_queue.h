// The one thread that changes the store. Edits that stand in line while a commit is under way are
// committed together by the next one: one fsync for all of them, and no wait for more to come.

#ifndef SALLYPORT_CONTROLPLANE_WRITE_QUEUE_H_
#define SALLYPORT_CONTROLPLANE_WRITE_QUEUE_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "common/base/mutex.h"
#include "controlplane/store/store.h"

namespace sallyport {

// Thread-safe. Edits are run, and their callers answered, in the order in which they came.
class WriteQueue {
 public:
  using Done = std::function<void(const Store::Written&)>;

  // At most `capacity` edits wait.
  WriteQueue(Store* store, size_t capacity);
  // Does what was accepted, then ends.
  ~WriteQueue();
  WriteQueue(const WriteQueue&) = delete;
  WriteQueue& operator=(const WriteQueue&) = delete;

  // Both run on the queue's thread: `edit` once, and after the commit `done` with what came of it.
  // They must not block, for everyone else's sake. False: the line is full, and neither will run.
  [[nodiscard]] bool Write(Store::Edit edit, Done done);
  // How many stand in line.
  size_t queued() const;
  // Why the last commit changed nothing, in a sentence; empty: it did not fail.
  std::string trouble() const;

 private:
  struct Waiting {
    Store::Edit edit;
    Done done;
  };

  void Loop();
  // False: stop. `batch`: those that the next commit takes; empty after a while with none.
  bool NextBatch(std::deque<Waiting>* batch);
  void WriteBatch(std::deque<Waiting> batch);
  void NoteTrouble(const std::vector<Store::Written>& written);

  Store* const store_;
  const size_t capacity_;
  mutable Mutex mutex_;
  CondVar wake_;
  std::deque<Waiting> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::string trouble_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;  // Last: starts when the rest is there.
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_WRITE_QUEUE_H_
