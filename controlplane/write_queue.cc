#include "controlplane/write_queue.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

namespace sallyport {
namespace {

// Bounds how long the first of a batch waits for the edits of the others, and what a commit that
// fails takes along.
constexpr size_t kMaxBatch = 256;
// Without changes the store is looked after this often, so that a database that went away is not
// found out by the next change only.
constexpr std::chrono::seconds kTidyEvery(5);

}  // namespace

WriteQueue::WriteQueue(Store* store, size_t capacity)
    : store_(store), capacity_(capacity), thread_([this] { Loop(); }) {}

WriteQueue::~WriteQueue() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  wake_.Signal();
  thread_.join();
}

bool WriteQueue::Write(Store::Edit edit, Done done) {
  {
    MutexLock lock(&mutex_);
    if (queue_.size() >= capacity_) return false;
    queue_.push_back({std::move(edit), std::move(done)});
  }
  wake_.Signal();
  return true;
}

std::string WriteQueue::trouble() const {
  MutexLock lock(&mutex_);
  return trouble_;
}

size_t WriteQueue::queued() const {
  MutexLock lock(&mutex_);
  return queue_.size();
}

void WriteQueue::Loop() {
  while (true) {
    std::deque<Waiting> batch;
    if (!NextBatch(&batch)) return;
    if (!batch.empty()) WriteBatch(std::move(batch));
    store_->Tidy();
  }
}

bool WriteQueue::NextBatch(std::deque<Waiting>* batch) {
  const auto until = std::chrono::steady_clock::now() + kTidyEvery;
  MutexLock lock(&mutex_);
  while (queue_.empty() && !stopping_) {
    if (!wake_.WaitUntil(&mutex_, until)) break;
  }
  if (queue_.empty()) return !stopping_;
  const auto end = queue_.begin() + static_cast<ptrdiff_t>(std::min(queue_.size(), kMaxBatch));
  batch->assign(std::make_move_iterator(queue_.begin()), std::make_move_iterator(end));
  queue_.erase(queue_.begin(), end);
  return true;
}

void WriteQueue::WriteBatch(std::deque<Waiting> batch) {
  std::vector<Store::Edit> edits;
  edits.reserve(batch.size());
  for (Waiting& waiting : batch) edits.push_back(std::move(waiting.edit));
  const std::vector<Store::Written> written = store_->WriteAll(edits);
  NoteTrouble(written);
  for (size_t i = 0; i < batch.size(); ++i) batch[i].done(written[i]);
}

// An edit that is refused says nothing of the store.
void WriteQueue::NoteTrouble(const std::vector<Store::Written>& written) {
  MutexLock lock(&mutex_);
  for (const Store::Written& one : written) {
    if (one.ok()) trouble_.clear();
    if (absl::IsUnavailable(one.status())) trouble_ = std::string(one.status().message());
  }
}

}  // namespace sallyport
