// What a handler sent in one direction and nobody has taken yet.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_MESSAGE_QUEUE_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_MESSAGE_QUEUE_H_

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <deque>

#include "absl/status/statusor.h"
#include "agent/proxy/event.h"
#include "proto/sallyport/v1/handler.pb.h"

namespace sallyport::proxy {

// Belongs to one worker; one coroutine takes.
class MessageQueue {
 public:
  // While as much as this waits, a handler is given no more of the body that it comes from.
  static constexpr size_t kEnoughBytes = 256 * 1024;
  // While as much as this waits, nothing is read from the handler at all: a handler that makes much
  // of little holds itself up. More than what gRPC has on its way to a handler: its windows grow to
  // some MiB.
  static constexpr size_t kFullBytes = 8 * 1024 * 1024;

  explicit MessageQueue(boost::asio::io_context& context) : arrived_(context), left_(context) {}

  void Push(v1::HandleResponse message);
  // After the last message Pop returns `status`. The first call counts.
  void End(absl::Status status);
  // What is here, and what will come, goes nowhere. Pop returns CANCELLED.
  void Discard();

  // The next message. DEADLINE_EXCEEDED: none came; it may be called again.
  Task<absl::StatusOr<v1::HandleResponse>> Pop(SteadyTime deadline);
  bool empty() const { return messages_.empty(); }
  // Returns once less than `bytes` wait, or none will be taken any more.
  Task<void> AwaitBelow(size_t bytes);

 private:
  std::deque<v1::HandleResponse> messages_;
  size_t bytes_ = 0;
  absl::Status end_;
  bool discarding_ = false;
  Event arrived_;
  Event left_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_MESSAGE_QUEUE_H_
