#include "agent/proxy/handlers/conversation.h"

#include <array>
#include <chrono>
#include <optional>
#include <utility>

#include "agent/proxy/handlers/message_queue.h"

namespace sallyport::proxy {
namespace {

using Clock = std::chrono::steady_clock;

// Between two pieces of a body, whoever's.
constexpr std::chrono::minutes kPieceTime{5};

Direction DirectionOf(const v1::HandleResponse& message) {
  return message.has_request_body() || message.has_request_end() ? Direction::kRequest
                                                                 : Direction::kResponse;
}

}  // namespace

struct HandlerConversation::State {
  State(boost::asio::io_context& context, ContainerBudget* budget,
        std::unique_ptr<HandlerCall> call)
      : context(context), budget(budget), call(std::move(call)), turn(context) {}

  // Most conversations need none.
  MessageQueue& queue(Direction direction) {
    std::optional<MessageQueue>& queue = queues[direction == Direction::kRequest ? 0 : 1];
    if (!queue.has_value()) {
      queue.emplace(context, budget);
      if (left) queue->Discard();
      if (!failure.ok()) queue->End(failure);
    }
    return *queue;
  }

  void Fail(absl::Status status) {
    if (failure.ok()) failure = std::move(status);
    for (std::optional<MessageQueue>& queue : queues) {
      if (queue.has_value()) queue->End(failure);
    }
    if (call != nullptr) call->Cancel();
  }

  void Leave() {
    call = nullptr;
    left = true;
    for (std::optional<MessageQueue>& queue : queues) {
      if (queue.has_value()) queue->Discard();
    }
  }

  boost::asio::io_context& context;
  ContainerBudget* const budget;
  std::unique_ptr<HandlerCall> call;  // Null: the conversation is over.
  bool left = false;                  // Its owner is gone, and `budget` may be.
  bool sending = false;
  Event turn;  // To send.

  std::optional<MessageOrder> order;
  // Nobody waits for the handler all the time, or both directions may come: a coroutine of its own
  // receives, and sorts into these.
  bool sorting = false;
  std::array<std::optional<MessageQueue>, 2> queues;
  SteadyTime last_activity = Clock::now();
  absl::Status failure;
};

HandlerConversation::HandlerConversation(boost::asio::io_context& context, ContainerBudget* budget,
                                         std::unique_ptr<HandlerCall> call)
    : state_(std::make_shared<State>(context, budget, std::move(call))) {}

HandlerConversation::~HandlerConversation() { state_->Leave(); }

absl::Status HandlerConversation::Start(const v1::HandleRequest& start) {
  return state_->call->Start(start);
}

Task<absl::Status> HandlerConversation::Send(v1::HandleRequest message, SteadyTime deadline) {
  const std::shared_ptr<State> state = state_;
  while (state->sending) {
    state->turn.Reset();
    const absl::Status waited = co_await state->turn.Wait(deadline);
    if (!waited.ok() && state->sending)
      co_return absl::DeadlineExceededError("the handler did not take a message in time");
  }
  if (state->call == nullptr) co_return absl::CancelledError("the conversation is over");
  state->sending = true;
  state->call->SetSendDeadline(deadline);
  const absl::Status sent = co_await state->call->Send(message);
  state->sending = false;
  state->turn.Notify();
  state->last_activity = Clock::now();
  co_return sent;
}

Task<absl::Status> HandlerConversation::SendPiece(Direction direction, v1::HandleRequest message) {
  co_await state_->queue(direction).AwaitFew();
  co_return co_await Send(std::move(message), Clock::now() + kPieceTime);
}

Task<absl::StatusOr<v1::HandleResponse>> HandlerConversation::Receive(SteadyTime deadline) {
  return state_->call->Receive(deadline);
}

void HandlerConversation::Continue(MessageOrder order) {
  state_->order = order;
  state_->sorting = order.awaits_origin();
  if (!state_->sorting) return;
  Spawn(state_->context, Sort(state_));
}

Task<absl::StatusOr<v1::HandleResponse>> HandlerConversation::ReceiveInOrder(
    std::shared_ptr<State> state, SteadyTime deadline) {
  if (!state->failure.ok()) co_return state->failure;
  absl::StatusOr<v1::HandleResponse> message = co_await state->call->Receive(deadline);
  state->last_activity = Clock::now();
  if (state->call == nullptr) co_return absl::CancelledError("the conversation is over");
  if (message.ok()) {
    const absl::Status in_order = state->order->OnMessage(*message);
    if (in_order.ok()) co_return message;
    message = in_order;
  } else if (absl::IsDeadlineExceeded(message.status())) {
    co_return message;
  } else if (absl::IsOutOfRange(message.status())) {
    message = absl::InternalError("the handler ended its stream before its last word");
  }
  state->Fail(message.status());
  co_return message;
}

Task<void> HandlerConversation::Sort(std::shared_ptr<State> state) {
  while (state->call != nullptr && !state->order->over()) {
    absl::StatusOr<v1::HandleResponse> message = co_await ReceiveInOrder(state, SteadyTime::max());
    if (!message.ok()) co_return;
    MessageQueue& queue = state->queue(DirectionOf(*message));
    queue.Push(*std::move(message));
    co_await queue.AwaitRoom();
  }
}

Task<absl::Status> HandlerConversation::SendOriginResponse(v1::HandleRequest message,
                                                           SteadyTime deadline) {
  state_->order->OnOriginResponse(message.response().has_body());
  return Send(std::move(message), deadline);
}

Task<absl::StatusOr<v1::HandleResponse>> HandlerConversation::Next(Direction direction,
                                                                   SteadyTime deadline) {
  if (state_->sorting) return state_->queue(direction).Pop(deadline);
  return ReceiveInOrder(state_, deadline);
}

Task<absl::StatusOr<v1::HandleResponse>> HandlerConversation::NextPiece(Direction direction) {
  const std::shared_ptr<State> state = state_;
  while (true) {
    absl::StatusOr<v1::HandleResponse> message =
        co_await Next(direction, state->last_activity + kPieceTime);
    if (message.ok() || !absl::IsDeadlineExceeded(message.status())) co_return message;
    if (Clock::now() < state->last_activity + kPieceTime) continue;
    state->Fail(message.status());
    co_return message;
  }
}

bool HandlerConversation::HasNext(Direction direction) const {
  return state_->sorting && !state_->queue(direction).empty();
}

void HandlerConversation::Discard(Direction direction) { state_->queue(direction).Discard(); }

void HandlerConversation::Cancel() {
  if (state_->call != nullptr) state_->call->Cancel();
}

const absl::Status& HandlerConversation::failure() const { return state_->failure; }

void HandlerConversation::Fail(absl::Status status) { state_->Fail(std::move(status)); }

}  // namespace sallyport::proxy
