// What a handler sent in one direction and nobody has taken yet.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_MESSAGE_QUEUE_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_MESSAGE_QUEUE_H_

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <deque>

#include "absl/status/statusor.h"
#include "agent/proxy/budget.h"
#include "agent/proxy/event.h"
#include "proto/sallyport/v1/handler.pb.h"

namespace sallyport::proxy {

// Belongs to one worker; one coroutine takes. What waits counts as memory of the container.
class MessageQueue {
 public:
  // While as much as this waits, a handler is given no more of the body that it comes from; nor is
  // more read from it, if the container's memory is spent.
  static constexpr size_t kEnoughBytes = 256 * 1024;
  // While as much as this waits, nothing is read from the handler at all: a handler that makes much
  // of little holds itself up. More than what gRPC has on its way to a handler: its windows grow to
  // some MiB.
  static constexpr size_t kFullBytes = 8 * 1024 * 1024;

  // `budget` outlives this, or at least what comes before Discard.
  MessageQueue(boost::asio::io_context& context, ContainerBudget* budget)
      : budget_(budget), arrived_(context), left_(context) {}

  void Push(v1::HandleResponse message);
  // After the last message Pop returns `status`. The first call counts.
  void End(absl::Status status);
  // What is here, and what will come, goes nowhere. Pop returns CANCELLED.
  void Discard();

  // The next message. DEADLINE_EXCEEDED: none came; it may be called again.
  Task<absl::StatusOr<v1::HandleResponse>> Pop(SteadyTime deadline);
  bool empty() const { return messages_.empty(); }
  // Returns once less than kEnoughBytes wait, or none will be taken any more.
  Task<void> AwaitFew();
  // The same, once another message may be read.
  Task<void> AwaitRoom();

 private:
  struct Waiting {
    v1::HandleResponse message;
    size_t bytes = 0;
    Gauge::Token memory;  // Empty: there was no room.
  };

  ContainerBudget* const budget_;
  std::deque<Waiting> messages_;
  size_t bytes_ = 0;
  bool over_budget_ = false;  // Since the last message.
  absl::Status end_;
  bool discarding_ = false;
  Event arrived_;
  Event left_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_MESSAGE_QUEUE_H_
