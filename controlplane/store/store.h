// Classes, containers, handlers and where containers are attached: in memory for readers, in
// durable storage for the next start.

#ifndef SALLYPORT_CONTROLPLANE_STORE_STORE_H_
#define SALLYPORT_CONTROLPLANE_STORE_STORE_H_

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "controlplane/store/state.h"
#include "controlplane/store/transaction.h"

namespace sallyport {

// Where changes are made durable. Used by one thread at a time.
class Storage {
 public:
  virtual ~Storage() = default;
  // Makes the changes durable, in their order, that lead to `after`. Returns when all of them are,
  // or an error and none of them is: UNAVAILABLE with a sentence for the operator.
  virtual absl::Status Commit(const State& after, const std::vector<Change>& changes) = 0;
  // Housekeeping that may take as long as a few commits: for a moment when nobody waits. Logs what
  // the operator must know.
  virtual void Tidy() {}
};

// Thread-safe.
class Store {
 public:
  using Edit = std::function<absl::Status(Transaction&)>;
  // The state as an edit left it, or why it changed nothing.
  using Written = absl::StatusOr<std::shared_ptr<const State>>;

  // `loaded` is what `storage` holds.
  Store(std::unique_ptr<Storage> storage, State loaded);

  // `listener` is called after each commit, when readers see it, on the writer's thread: it must be
  // quick. REQUIRES: nothing was written yet.
  void OnChange(std::function<void()> listener) { listener_ = std::move(listener); }

  // The state after the last transaction that committed. Never null, never blocks on storage.
  std::shared_ptr<const State> Read() const;

  // Runs each edit on the state after the one before, makes all changes durable by one commit, then
  // shows them to readers. An edit that fails changes nothing and touches no other. If the commit
  // fails, none has changed anything, and each has that error: what it saw of the others never came
  // to be. Writers take turns. Blocks for the time of an fsync: not for threads that serve others.
  std::vector<Written> WriteAll(const std::vector<Edit>& edits);
  // One edit, and what there is to tidy.
  Written Write(const Edit& edit);
  // For after a WriteAll, when everyone has their answer, and for now and then. Blocks.
  void Tidy();

 private:
  std::function<void()> listener_ = [] {};
  Mutex write_mutex_;  // Held for a whole WriteAll; taken before read_mutex_.
  const std::unique_ptr<Storage> storage_;

  mutable Mutex read_mutex_;
  std::shared_ptr<const State> state_ ABSL_GUARDED_BY(read_mutex_);
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_STORE_STORE_H_
