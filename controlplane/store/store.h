// Classes, containers, handlers and where containers are attached: in memory for readers, in
// durable storage for the next start.

#ifndef SALLYPORT_CONTROLPLANE_STORE_STORE_H_
#define SALLYPORT_CONTROLPLANE_STORE_STORE_H_

#include <functional>
#include <memory>
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
  // Returns when all changes are durable, or an error and none of them is: UNAVAILABLE with a
  // sentence for the operator.
  virtual absl::Status Commit(uint64_t revision, const std::vector<Change>& changes) = 0;
};

// Thread-safe.
class Store {
 public:
  // `loaded` is what `storage` holds.
  Store(std::unique_ptr<Storage> storage, State loaded);

  // The state after the last transaction that committed. Never null, never blocks on storage.
  std::shared_ptr<const State> Read() const;

  // Runs `edit` on the newest state, makes its changes durable, then shows them to readers. Writers
  // take turns. An error, of `edit` or of the storage, changes nothing. Returns the state after it.
  // Blocks for the time of an fsync: not for threads that serve others.
  absl::StatusOr<std::shared_ptr<const State>> Write(
      const std::function<absl::Status(Transaction&)>& edit);

 private:
  Mutex write_mutex_;  // Held for a whole Write; taken before read_mutex_.
  const std::unique_ptr<Storage> storage_;

  mutable Mutex read_mutex_;
  std::shared_ptr<const State> state_ ABSL_GUARDED_BY(read_mutex_);
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_STORE_STORE_H_
