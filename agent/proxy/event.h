// Lets coroutines of one worker wait for each other.

#ifndef SALLYPORT_AGENT_PROXY_EVENT_H_
#define SALLYPORT_AGENT_PROXY_EVENT_H_

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>

#include "absl/status/status.h"
#include "agent/proxy/stream.h"
#include "agent/proxy/task.h"

namespace sallyport::proxy {

// Something that happens: once notified it stays notified until Reset. Belongs to one worker, and
// must outlive its waiters. To wait for a condition that may change again and again:
//
//   while (!condition) {
//     event.Reset();
//     const absl::Status waited = co_await event.Wait(deadline);
//     if (!waited.ok()) ...
//   }
class Event {
 public:
  explicit Event(boost::asio::io_context& context);
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  // Wakes everyone who waits. They run from the event loop, never inside this call.
  void Notify();
  void Reset() { notified_ = false; }
  bool notified() const { return notified_; }

  // OK at once if notified, else when notified, even if Reset follows before the waiter runs.
  // DEADLINE_EXCEEDED once `deadline` has passed; SteadyTime::max(): none. Any number may wait,
  // each with its own deadline.
  Task<absl::Status> Wait(SteadyTime deadline);

 private:
  Task<absl::Status> WaitLater(SteadyTime deadline);

  boost::asio::steady_timer
      timer_;  // Shared by all waiters; expires at the earliest of their deadlines.
  uint64_t notifications_ = 0;
  bool notified_ = false;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_EVENT_H_
