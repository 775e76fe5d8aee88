#include "controlplane/audit_queue.h"

#include <utility>

namespace sallyport {

uint64_t AuditQueue::Push(Item item, size_t bytes) {
  bytes_ += bytes;
  items_.push_back({std::move(item), bytes});
  return items_.size() > limits_.items || bytes_ > limits_.bytes ? DropOlderHalf() : 0;
}

// By halves: a follower that stays too slow gets long runs of records with a gap between them, not
// a gap before each record.
uint64_t AuditQueue::DropOlderHalf() {
  uint64_t dropped = 0;
  const size_t bytes = bytes_ / 2;
  for (size_t left = items_.size() / 2;
       items_.size() > 1 && (items_.size() > left || bytes_ > bytes);) {
    const Item oldest = PopOldest();
    dropped += oldest->has_gap() ? oldest->gap().missing() : 1;
  }
  missing_ += dropped;
  return dropped;
}

AuditQueue::Item AuditQueue::PopOldest() {
  Item oldest = std::move(items_.front().item);
  bytes_ -= items_.front().bytes;
  items_.pop_front();
  return oldest;
}

AuditQueue::Item AuditQueue::Pop() {
  if (missing_ > 0) {
    const auto gap = std::make_shared<v1::FollowResponse>();
    gap->mutable_gap()->set_missing(std::exchange(missing_, 0));
    return gap;
  }
  return items_.empty() ? nullptr : PopOldest();
}

}  // namespace sallyport
