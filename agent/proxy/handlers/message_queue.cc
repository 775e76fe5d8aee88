#include "agent/proxy/handlers/message_queue.h"

#include <utility>

namespace sallyport::proxy {

void MessageQueue::Push(v1::HandleResponse message) {
  if (discarding_ || !end_.ok()) return;
  const size_t bytes = message.ByteSizeLong();
  Gauge::Token memory = budget_->Hold(Limit::kMemoryBytes, static_cast<int64_t>(bytes));
  if (!memory && !over_budget_) budget_->CountExceeded(Limit::kMemoryBytes);
  over_budget_ = !memory;
  bytes_ += bytes;
  messages_.push_back(Waiting{std::move(message), bytes, std::move(memory)});
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
  v1::HandleResponse message = std::move(messages_.front().message);
  bytes_ -= messages_.front().bytes;
  messages_.pop_front();
  left_.Notify();
  co_return message;
}

Task<void> MessageQueue::AwaitFew() {
  while (bytes_ >= kEnoughBytes && end_.ok()) {
    left_.Reset();
    (void)co_await left_.Wait(SteadyTime::max());
  }
}

Task<void> MessageQueue::AwaitRoom() {
  while (bytes_ >= (over_budget_ ? kEnoughBytes : kFullBytes) && end_.ok()) {
    left_.Reset();
    (void)co_await left_.Wait(SteadyTime::max());
  }
}

}  // namespace sallyport::proxy
