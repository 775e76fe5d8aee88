#include "controlplane/store/store.h"

#include <utility>

namespace sallyport {

Store::Store(std::unique_ptr<Storage> storage, State loaded)
    : storage_(std::move(storage)), state_(std::make_shared<State>(std::move(loaded))) {}

std::shared_ptr<const State> Store::Read() const {
  MutexLock lock(&read_mutex_);
  return state_;
}

std::vector<Store::Written> Store::WriteAll(const std::vector<Edit>& edits) {
  MutexLock writing(&write_mutex_);
  const std::shared_ptr<const State> before = Read();
  std::shared_ptr<const State> newest = before;
  std::vector<Written> written;
  std::vector<Change> changes;
  for (const Edit& edit : edits) {
    Transaction transaction(*newest);
    const absl::Status status = edit(transaction);
    if (!status.ok()) {
      written.emplace_back(status);
      continue;
    }
    if (transaction.changed()) {
      newest = std::make_shared<State>(transaction.Result());
      changes.insert(changes.end(), transaction.changes().begin(), transaction.changes().end());
    }
    written.emplace_back(newest);
  }
  if (newest == before) return written;

  const absl::Status committed = storage_->Commit(*newest, changes);
  if (!committed.ok()) return std::vector<Written>(edits.size(), committed);
  {
    MutexLock lock(&read_mutex_);
    state_ = newest;
  }
  listener_();
  return written;
}

Store::Written Store::Write(const Edit& edit) {
  Written written = std::move(WriteAll({edit}).front());
  Tidy();
  return written;
}

void Store::Tidy() {
  MutexLock writing(&write_mutex_);
  storage_->Tidy();
}

}  // namespace sallyport
