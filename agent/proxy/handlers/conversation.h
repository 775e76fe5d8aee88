// One call to a handler, from the start message to the last word.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_CONVERSATION_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_CONVERSATION_H_

#include <boost/asio/io_context.hpp>
#include <memory>

#include "agent/proxy/budget.h"
#include "agent/proxy/handlers/link.h"
#include "agent/proxy/handlers/message_order.h"

namespace sallyport::proxy {

// Whose body a message belongs to.
enum class Direction {
  kRequest,   // The container's, on its way to the origin.
  kResponse,  // On its way to the container; heads included.
};

// Belongs to one worker. Several coroutines may send, which take turns; one receives of each
// direction.
class HandlerConversation {
 public:
  // `budget`: the container's, which outlives this.
  HandlerConversation(boost::asio::io_context& context, ContainerBudget* budget,
                      std::unique_ptr<HandlerCall> call);
  // Ends the call: in order if the handler has had its last word, else with a reset.
  ~HandlerConversation();
  HandlerConversation(const HandlerConversation&) = delete;
  HandlerConversation& operator=(const HandlerConversation&) = delete;

  // The first message. Errors as HandlerCall::Start.
  absl::Status Start(const v1::HandleRequest& start);
  // Errors as HandlerCall::Send. DEADLINE_EXCEEDED: the handler takes nothing.
  Task<absl::Status> Send(v1::HandleRequest message, SteadyTime deadline);
  // A piece of a body or its end. Waits while the handler's own pieces in that direction are not
  // taken, too: a handler that is given no more can always be read to its end.
  Task<absl::Status> SendPiece(Direction direction, v1::HandleRequest message);

  // Before the handler's first word, which is the caller's to check. Errors as
  // HandlerCall::Receive.
  Task<absl::StatusOr<v1::HandleResponse>> Receive(SteadyTime deadline);

  // The handler has said Respond or Forward, and from now on `order` is held against what it sends.
  // A breach, the stream's end before the last word, or an error fails the conversation.
  void Continue(MessageOrder order);
  // Tells it what the origin answered.
  Task<absl::Status> SendOriginResponse(v1::HandleRequest message, SteadyTime deadline);
  // REQUIRES: Continue.
  Task<absl::StatusOr<v1::HandleResponse>> Next(Direction direction, SteadyTime deadline);
  // The same for pieces: waits as long as the conversation goes on, and five minutes more.
  Task<absl::StatusOr<v1::HandleResponse>> NextPiece(Direction direction);
  // Whether Next would return at once.
  bool HasNext(Direction direction) const;
  // What comes in that direction goes nowhere.
  void Discard(Direction direction);

  // Resets the call: sends and receives that wait end with CANCELLED.
  void Cancel();
  // What ended the conversation early, the first time; also set by Fail.
  const absl::Status& failure() const;
  // The handler is at fault: resets the call.
  void Fail(absl::Status status);

 private:
  struct State;

  static Task<void> Sort(std::shared_ptr<State> state);
  static Task<absl::StatusOr<v1::HandleResponse>> ReceiveInOrder(std::shared_ptr<State> state,
                                                                 SteadyTime deadline);

  const std::shared_ptr<State> state_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_CONVERSATION_H_
