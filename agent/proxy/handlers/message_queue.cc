#include "agent/proxy/handlers/message_queue.h"

#include <utility>

namespace sallyport::proxy {

void MessageQueue::Push(v1::HandleResponse message) {
  if (discarding_ || !end_.ok()) return;
  bytes_ += message.ByteSizeLong();
  messages_.push_back(std::move(message));
  arrived_.Notify();
}

void MessageQueue::End(absl::Status status) {
  if (!end_.ok()) return;
  end_ = std::move(status);
  arrived_.Notify();
  left_.Notify();
}

void MessageQueue::Discard() {
  discarding_ = true;
  messages_.clear();
  bytes_ = 0;
  End(absl::CancelledError("the handler's messages are of no more use"));
}

Task<absl::StatusOr<v1::HandleResponse>> MessageQueue::Pop(SteadyTime deadline) {
  while (messages_.empty()) {
    if (!end_.ok()) co_return end_;
    arrived_.Reset();
    const absl::Status waited = co_await arrived_.Wait(deadline);
    if (!waited.ok() && messages_.empty() && end_.ok()) co_return waited;
  }
  v1::HandleResponse message = std::move(messages_.front());
  messages_.pop_front();
  bytes_ -= message.ByteSizeLong();
  left_.Notify();
  co_return message;
}

Task<void> MessageQueue::AwaitBelow(size_t bytes) {
  while (bytes_ >= bytes && end_.ok()) {
    left_.Reset();
    (void)co_await left_.Wait(SteadyTime::max());
  }
}

}  // namespace sallyport::proxy
