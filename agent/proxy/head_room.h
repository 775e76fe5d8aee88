// What the beginning of a connection or of a request holds before anyone has decided on it.

#ifndef SALLYPORT_AGENT_PROXY_HEAD_ROOM_H_
#define SALLYPORT_AGENT_PROXY_HEAD_ROOM_H_

#include <cstddef>
#include <cstdint>

#include "agent/proxy/budget.h"

namespace sallyport::proxy {

// Room in the container's budget for a head, or a ClientHello, that outgrows the buffers which
// every connection is reckoned to have. Most never do. Released when it ends, at the latest.
class HeadRoom {
 public:
  static constexpr size_t kUsualBytes = 8 * 1024;
  static constexpr Limit kLimit = Limit::kMemoryBytes;

  // `budget` outlives this; null: nobody counts. `max_bytes`: of a head.
  HeadRoom(ContainerBudget* budget, size_t max_bytes) : budget_(budget), max_bytes_(max_bytes) {}

  // Whether there is room for a head that has so many bytes by now.
  bool Has(size_t bytes) {
    if (bytes <= kUsualBytes || budget_ == nullptr || token_) return true;
    token_ = budget_->Hold(kLimit, kCopies * static_cast<int64_t>(max_bytes_));
    if (!token_) budget_->CountExceeded(kLimit);
    return static_cast<bool>(token_);
  }
  void Release() { token_.Release(); }

 private:
  // It is read into one buffer and put together in another, or moves to one that is larger.
  static constexpr int64_t kCopies = 2;

  ContainerBudget* budget_;
  size_t max_bytes_;
  Gauge::Token token_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HEAD_ROOM_H_
