// A handler that stays in the way of a request it forwarded: it transforms the request's body, or
// sees what the origin answers before the container does.

#ifndef SALLYPORT_AGENT_PROXY_MEDIATION_H_
#define SALLYPORT_AGENT_PROXY_MEDIATION_H_

#include <memory>
#include <optional>

#include "agent/proxy/body_flow.h"
#include "agent/proxy/egress.h"
#include "agent/proxy/handler_failure.h"
#include "agent/proxy/handlers/answer.h"
#include "agent/proxy/handlers/handler_body.h"

namespace sallyport::proxy {

// Belongs to one exchange. SendToOrigin takes a request's body from it and hands it the origin's
// response.
class Mediation {
 public:
  // Both outlive this. `conversation` has just said `forward`. The handler's time-out is from the
  // origin's response until the handler's word on it begins, too; if it reads the response's body
  // first, from the end of that.
  Mediation(const Exchange& exchange, HandlerConversation* conversation, const Forward& forward,
            std::shared_ptr<const HandlerSpec> handler);

  // Has the request's body go by way of the handler, if it is to be transformed. `body` gives it to
  // the handler already if it was read before, else is started. Sets how the body is framed for the
  // origin. An error: the handler's.
  Task<absl::Status> Begin(const Forward& forward, std::shared_ptr<BodyFlow>* body,
                           OriginRequest* request);
  // How the container's own body ended, if it goes to the handler.
  absl::Status client_status() const;

  bool transforms_request() const { return transforms_request_; }
  // Sends the transformed body. REQUIRES: transforms_request(), and the head was sent.
  void SendBodyTo(ClientExchange* origin);

  bool inspects() const { return inspects_; }
  // Asks the handler what becomes of the origin's final response, whose head it changes. Returns
  // the body that goes to the container; null: the handler failed. REQUIRES: inspects().
  Task<BodyReader*> PassAnswer(ClientExchange* origin, ResponseHead* head);
  // Returns when nothing is written to the origin or read from it here any more. If a body is not
  // through, its exchange is given up.
  Task<void> LeaveOrigin();

  // Returns when the container's body is not read here any more, so that others may. If it is not
  // through, nobody reads it.
  Task<void> LeaveContainer();

  // What went wrong that was not the container's connection, as far as it is known here.
  // Asked for before LeaveOrigin.
  std::optional<OriginFailure> failure() const;
  // The handler is at fault.
  void Fail(HandlerFailure failure);
  void Cancel() { conversation_->Cancel(); }

 private:
  Task<absl::StatusOr<BodyReader*>> Ask(ClientExchange* origin, ResponseHead* head);
  Task<absl::StatusOr<v1::HandleResponse>> AwaitDecision(ClientExchange* origin,
                                                         SteadyTime deadline);
  Task<absl::StatusOr<v1::HandleResponse>> AwaitDecisionOnBody();
  absl::StatusOr<BodyReader*> PassOn(const v1::PassResponse& message, ClientExchange* origin,
                                     ResponseHead* head);
  absl::StatusOr<BodyReader*> Replace(const v1::Respond& message, ResponseHead* head);
  void SendOriginBody(ClientExchange* origin);

  const Exchange& exchange_;
  HandlerConversation* const conversation_;
  const bool transforms_request_;
  const bool inspects_;
  const std::shared_ptr<const HandlerSpec> handler_;
  std::shared_ptr<BodyFlow> from_container_;  // The container's body, to the handler.
  HandlerBody request_body_;
  std::string_view first_piece_;
  std::shared_ptr<BodyFlow> to_origin_;  // The transformed body.
  HandlerBody response_body_;
  std::unique_ptr<BodyReader> no_body_;
  std::shared_ptr<BodyFlow> from_origin_;  // The origin's body, to the handler.
  std::optional<HandlerFailure> failure_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_MEDIATION_H_
