// What one follower has not read yet.

#ifndef SALLYPORT_CONTROLPLANE_AUDIT_QUEUE_H_
#define SALLYPORT_CONTROLPLANE_AUDIT_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>

#include "proto/sallyport/v1/audit_stream.pb.h"

namespace sallyport {

// The newest records, and gaps, for one that follows. When it is full its older half is dropped,
// and what comes out next is a gap that says how many records that were. Not thread-safe.
class AuditQueue {
 public:
  // Shared by the queues of all who want it.
  using Item = std::shared_ptr<const v1::FollowResponse>;
  struct Limits {
    size_t items;
    size_t bytes;
  };

  explicit AuditQueue(Limits limits) : limits_(limits) {}

  // Returns how many records it has dropped. `bytes`: what the item takes in memory.
  uint64_t Push(Item item, size_t bytes);
  // Null: it is empty.
  Item Pop();

 private:
  struct Sized {
    Item item;
    size_t bytes;
  };

  Item PopOldest();
  uint64_t DropOlderHalf();

  const Limits limits_;
  std::deque<Sized> items_;
  size_t bytes_ = 0;
  uint64_t missing_ = 0;  // Dropped, and not yet said.
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_AUDIT_QUEUE_H_
