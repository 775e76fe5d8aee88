#include "agent/proxy/event.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <chrono>

namespace sallyport::proxy {

Event::Event(boost::asio::io_context& context) : timer_(context, SteadyTime::max()) {}

void Event::Notify() {
  notified_ = true;
  ++notifications_;
  timer_.cancel();
}

Task<absl::Status> Event::Wait(SteadyTime deadline) {
  if (notified_) co_return absl::OkStatus();
  const uint64_t seen = notifications_;
  while (seen == notifications_) {
    const SteadyTime now = std::chrono::steady_clock::now();
    if (deadline <= now) co_return absl::DeadlineExceededError("nothing happened in time");
    // Moving the expiry wakes the other waiters, who find no notification and wait again.
    if (timer_.expiry() > deadline || timer_.expiry() <= now) timer_.expires_at(deadline);
    // An operation that this frame holds; kUseTask would make a frame of its own for it.
    (void)co_await timer_.async_wait(boost::asio::as_tuple(boost::asio::deferred));
  }
  co_return absl::OkStatus();
}

}  // namespace sallyport::proxy
