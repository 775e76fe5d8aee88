#include "agent/proxy/event.h"

#include <chrono>

namespace sallyport::proxy {

Event::Event(boost::asio::io_context& context) : timer_(context, SteadyTime::max()) {}

void Event::Notify() {
  notified_ = true;
  ++notifications_;
  timer_.cancel();
}

Task<absl::Status> Event::Wait(SteadyTime deadline) {
  if (notified_) return absl::OkStatus();
  return WaitLater(deadline);
}

Task<absl::Status> Event::WaitLater(SteadyTime deadline) {
  const uint64_t seen = notifications_;
  while (seen == notifications_) {
    const SteadyTime now = std::chrono::steady_clock::now();
    if (deadline <= now) co_return absl::DeadlineExceededError("nothing happened in time");
    // Moving the expiry wakes the other waiters, who find no notification and wait again.
    if (timer_.expiry() > deadline || timer_.expiry() <= now) timer_.expires_at(deadline);
    (void)co_await timer_.async_wait(kUseTask);
  }
  co_return absl::OkStatus();
}

}  // namespace sallyport::proxy
