#include "controlplane/store/store.h"

#include <utility>

#include "common/base/status.h"

namespace sallyport {

Store::Store(std::unique_ptr<Storage> storage, State loaded)
    : storage_(std::move(storage)), state_(std::make_shared<State>(std::move(loaded))) {}

std::shared_ptr<const State> Store::Read() const {
  MutexLock lock(&read_mutex_);
  return state_;
}

absl::StatusOr<std::shared_ptr<const State>> Store::Write(
    const std::function<absl::Status(Transaction&)>& edit) {
  MutexLock writing(&write_mutex_);
  const std::shared_ptr<const State> before = Read();
  Transaction transaction(*before);
  RETURN_IF_ERROR(edit(transaction));
  if (transaction.changes().empty()) return before;

  std::shared_ptr<const State> after = std::make_shared<State>(transaction.Result());
  RETURN_IF_ERROR(storage_->Commit(after->revision, transaction.changes()));
  MutexLock lock(&read_mutex_);
  state_ = after;
  return after;
}

}  // namespace sallyport
