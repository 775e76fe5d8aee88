#include "agent/proxy/ask_handler.h"

#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "agent/proxy/admission.h"
#include "agent/proxy/ask_http_handler.h"
#include "agent/proxy/body_flow.h"
#include "agent/proxy/forward_changes.h"
#include "agent/proxy/handler_outcome.h"
#include "agent/proxy/handler_response.h"
#include "agent/proxy/handler_start.h"
#include "agent/proxy/handlers/attempts.h"
#include "agent/proxy/handlers/conversation.h"
#include "agent/proxy/handlers/handler_body.h"
#include "agent/proxy/mediation.h"
#include "agent/proxy/refusal.h"
#include "agent/proxy/use_lease.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

using Clock = std::chrono::steady_clock;

// A question to a handler, until its answer has been acted on.
struct Question {
  const Exchange& exchange;
  const AskedBy& by;
  std::shared_ptr<const HandlerSpec> handler;
  std::shared_ptr<HandlerLink> link = nullptr;
  std::unique_ptr<HandlerConversation> conversation = nullptr;
  EndpointCall endpoint = {};                // Counts as long as the conversation.
  Gauge::Token budget = {};                  // The same.
  std::shared_ptr<BodyFlow> body = nullptr;  // Gives the handler the body, once it has asked.
  Clock::time_point start = Clock::now();
  int64_t decided_us = 0;

  SteadyTime deadline() const { return start + std::chrono::milliseconds(handler->timeout_ms); }
};

// Connects and has the start message sent.
Task<absl::Status> Begin(Question* question, const v1::HandleRequest& start,
                         HandlerPool::Endpoints tried) {
  Container& container = *question->exchange.client.container;
  CO_ASSIGN_OR_RETURN(
      const std::string token,
      container.IdentityToken(question->handler, question->exchange.policy->class_name));
  absl::StatusOr<HandlerConnection> connection =
      co_await container.handlers().Get(question->handler, question->deadline(), std::move(tried));
  if (!connection.ok()) co_return connection.status();
  question->endpoint = std::move(connection->call);
  question->link = std::move(connection->link);
  absl::StatusOr<std::unique_ptr<HandlerCall>> call = question->link->Call(token);
  if (!call.ok()) co_return call.status();
  question->conversation = std::make_unique<HandlerConversation>(
      *container.dial_context().context, &container.budget(), *std::move(call));
  co_return question->conversation->Start(start);
}

// The handler's first word: Respond or Forward. Serves ReadBody on the way.
Task<absl::StatusOr<v1::HandleResponse>> AwaitAnswer(Question* question) {
  HandlerConversation* const conversation = question->conversation.get();
  while (true) {
    absl::StatusOr<v1::HandleResponse> message =
        co_await conversation->Receive(question->deadline());
    if (!message.ok()) co_return message.status();
    if (message->has_respond() || message->has_forward()) co_return message;
    if (!message->has_read_body())
      co_return absl::InternalError("the handler sent something before Respond or Forward");
    if (question->body != nullptr)
      co_return absl::InternalError("the handler asked for the body twice");
    question->body =
        BodyFlow::Start(*question->exchange.client.container->dial_context().context,
                        BodyOf(question->exchange.client.http),
                        std::make_unique<HandlerSink>(conversation, Direction::kRequest));
  }
}

// One attempt.
Task<absl::StatusOr<v1::HandleResponse>> AskOnce(Question* question, const AbandonmentWatch& watch,
                                                 const v1::HandleRequest& start,
                                                 HandlerPool::Endpoints tried) {
  CO_RETURN_IF_ERROR(co_await Begin(question, start, std::move(tried)));
  // While there was no call yet to be cancelled.
  if (watch.abandoned()) co_return absl::CancelledError("the container hung up");
  co_return co_await AwaitAnswer(question);
}

// Asks until there is a first word, or no more attempt that is safe and asked for.
Task<absl::StatusOr<v1::HandleResponse>> Ask(Question* question, const AbandonmentWatch& watch) {
  const v1::HandleRequest start = StartMessage(question->exchange, question->by);
  HandlerPool::Endpoints tried;
  AttemptsLeft attempts(*question->handler);
  while (true) {
    absl::StatusOr<v1::HandleResponse> answer = co_await AskOnce(question, watch, start, tried);
    // Nobody is there any more to ask for, or the endpoint was not reached: that is counted.
    const bool was_asked = question->endpoint.endpoint() != nullptr;
    if (answer.ok() || absl::IsCancelled(answer.status()) || !was_asked) co_return answer;
    question->endpoint.Failed();
    if (question->body != nullptr || !attempts.Take(answer.status(), question->deadline()))
      co_return answer;
    tried.push_back(question->endpoint.endpoint());
    question->conversation = nullptr;
    question->endpoint.Release();
  }
}

// The container's own body may be what broke off.
Task<Outcome> FailOrRefuseBody(Question* question, HandlerFailure failure) {
  if (question->body != nullptr) {
    co_await question->body->Stop();
    const absl::Status& client_status = question->body->source_status();
    if (!client_status.ok()) co_return co_await RefuseBody(question->exchange, client_status);
  }
  co_return co_await FailHandler(question->exchange, *question->handler, std::move(failure),
                                 question->body != nullptr);
}

// What the handler said is illegal, or broke off.
Task<Outcome> FailAsked(Question* question, HandlerFailure failure) {
  question->endpoint.Failed();
  co_return co_await FailOrRefuseBody(question, std::move(failure));
}

// The container has gone: nobody is there to be answered.
Task<Outcome> HangUp(Question* question) {
  if (question->body != nullptr) co_await question->body->Stop();
  question->exchange.client.http->Abort();
  Outcome outcome;
  outcome.decision = "handler";
  outcome.detail = "the container hung up before the end of the answer";
  co_return outcome;
}

// The handler's response broke off because the container went, and not by the handler.
bool WasLeft(const Question& question, const AbandonmentWatch& watch) {
  if (watch.abandoned()) return true;
  if (question.body == nullptr || !question.exchange.client.http->response_begun()) return false;
  const absl::Status& client_status = question.body->source_status();
  return !client_status.ok() && !absl::IsInvalidArgument(client_status);
}

Task<Outcome> Mediate(Question* question, const Forward& forward, OriginRequest request) {
  const Exchange& exchange = question->exchange;
  Mediation mediation(exchange, question->conversation.get(), forward, question->handler);
  const absl::Status begun = co_await mediation.Begin(forward, &question->body, &request);
  if (!begun.ok()) co_return co_await FailAsked(question, HandlerFailureOf(begun));
  Outcome outcome =
      co_await SendForwarded(exchange, std::move(request), question->by.rule, &mediation);
  if (absl::StartsWith(absl::string_view(outcome.reason.data(), outcome.reason.size()), "handler_"))
    question->endpoint.Failed();
  co_return outcome;
}

Task<Outcome> ForwardAsTold(Question* question, const v1::Forward& message) {
  const Exchange& exchange = question->exchange;
  absl::StatusOr<Forward> forward =
      ValidateForward(message, SchemeName(exchange.destination.scheme));
  if (forward.ok() && question->body != nullptr && !forward->transform_request)
    forward = absl::InternalError("the handler forwards after it has read the body");
  if (!forward.ok()) co_return co_await FailAsked(question, HandlerFailureOf(forward.status()));
  question->endpoint.Answered();
  LeaseTable& leases = exchange.client.container->leases();
  if (forward->revoke_leases) leases.RevokeOf(question->handler->name);
  OriginRequest request = Changed(exchange, *forward);
  if (forward->lease.has_value())
    GrantLease(exchange, question->by, *question->handler, *forward->lease, *forward);
  if (forward->inspect_response || forward->transform_request)
    co_return co_await Mediate(question, *forward, std::move(request));
  question->conversation = nullptr;
  question->endpoint.Release();
  question->budget.Release();
  co_return co_await SendForwarded(exchange, std::move(request), question->by.rule);
}

Task<std::optional<HandlerFailure>> RespondAndLease(Question* question, Respond respond,
                                                    BodyReader& body) {
  const Exchange& exchange = question->exchange;
  const absl::StatusOr<WholeBody> whole = co_await ReadLeased(exchange, respond, body);
  if (!whole.ok()) co_return HandlerFailureOf(whole.status());
  LeaseTerms terms = *std::exchange(respond.lease, std::nullopt);
  GrantLease(exchange, question->by, *question->handler, std::move(terms),
             LeasedResponse{respond, whole->bytes, whole->trailers});
  co_await WriteWhole(exchange, respond, *whole);
  co_return std::nullopt;
}

Task<Outcome> RespondAsTold(Question* question, const AbandonmentWatch& watch,
                            const v1::Respond& message) {
  const Exchange& exchange = question->exchange;
  const absl::StatusOr<Respond> respond = ValidateRespond(message);
  if (!respond.ok()) co_return co_await FailAsked(question, HandlerFailureOf(respond.status()));
  question->endpoint.Answered();
  if (respond->revoke_leases) exchange.client.container->leases().RevokeOf(question->handler->name);
  question->conversation->Continue(MessageOrder::AfterRespond());
  HandlerBody body(question->conversation.get(), Direction::kResponse);
  std::optional<HandlerFailure> failure;
  if (respond->lease.has_value()) {
    failure = co_await RespondAndLease(question, *respond, body);
  } else {
    failure = co_await StreamResponse(exchange, *respond, body);
  }
  const bool left = failure.has_value() && WasLeft(*question, watch);
  const bool whole = HasDeclaredBody(exchange, *respond);
  // The handler is gone before its last word, but nothing else is outstanding: a cut would hit the
  // next request on the container's connection.
  const bool lost_late = whole && failure.has_value() && failure->reason == kHandlerUnreachable;
  if (failure.has_value() && !left && !lost_late)
    co_return co_await FailAsked(question, *std::move(failure));
  Outcome outcome;
  outcome.decision = "handler";
  if (left) {
    outcome = co_await HangUp(question);
    if (whole) outcome.detail.clear();
  } else if (lost_late) {
    question->endpoint.Failed();
    outcome.detail = std::move(failure->detail);
    (void)co_await exchange.client.http->FinishBody(Headers{});
  }
  if (exchange.client.http->response_begun()) outcome.status = respond->status;
  co_return outcome;
}

// As the handler would, if it were asked.
Task<Outcome> ActOnLease(const Exchange& exchange, const AskedBy& by,
                         std::shared_ptr<const LeasedAnswer> leased) {
  Outcome outcome;
  if (const auto* forward = std::get_if<Forward>(&leased->answer())) {
    outcome = co_await SendForwarded(exchange, Changed(exchange, *forward), by.rule);
  } else if (const auto* response = std::get_if<LeasedResponse>(&leased->answer())) {
    co_await WriteWhole(exchange, response->head, WholeBody{response->body, response->trailers});
    outcome.decision = "handler";
    outcome.status = response->head.status;
  }
  outcome.lease = true;
  co_return outcome;
}

Task<Outcome> Converse(Question* question) {
  // Until a forward has a watch of its own.
  const AbandonmentWatch watch(question->exchange.client.http, [question] {
    if (question->conversation != nullptr) question->conversation->Cancel();
  });
  const absl::StatusOr<v1::HandleResponse> message = co_await Ask(question, watch);
  question->decided_us =
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - question->start).count();
  if (!message.ok() && watch.abandoned()) co_return co_await HangUp(question);
  if (!message.ok())
    co_return co_await FailOrRefuseBody(question, HandlerFailureOf(message.status()));
  if (message->has_forward()) co_return co_await ForwardAsTold(question, message->forward());
  co_return co_await RespondAsTold(question, watch, message->respond());
}

}  // namespace

Task<Outcome> AskHandler(const Exchange& exchange, ToHandler verdict,
                         std::shared_ptr<const HandlerSpec> handler) {
  Outcome outcome;
  const AskedBy by(verdict);
  if (handler == nullptr) {
    outcome = co_await AnswerFailure(
        exchange, 502, "handler_missing",
        StrCat("no handler of the name ", by.reference.handler, " is registered"));
  } else if (const auto leased = FindLease(exchange, by, *handler); leased != nullptr) {
    outcome = co_await ActOnLease(exchange, by, leased);
  } else if (auto admitted = AdmitHandlerCall(*exchange.client.container);
             const auto* over = std::get_if<OverBudget>(&admitted)) {
    // Not the handler's failure: its on_failure does not count.
    outcome = co_await RefuseOverBudget(exchange, *over);
  } else if (handler->protocol == HandlerEndpoint::Protocol::kHttp) {
    const SteadyTime deadline = Clock::now() + std::chrono::milliseconds(handler->timeout_ms);
    outcome = co_await AskHttpHandler(exchange, by, handler,
                                      std::move(std::get<Gauge::Token>(admitted)), deadline);
  } else {
    Question question{exchange, by, handler};
    question.budget = std::move(std::get<Gauge::Token>(admitted));
    outcome = co_await Converse(&question);
    outcome.handler_us = question.decided_us;
    if (question.body != nullptr) co_await question.body->Stop();
  }
  outcome.handler = by.reference.handler;
  if (outcome.failed_open) co_return outcome;
  outcome.rule = by.rule;
  if (outcome.decision == "egress") outcome.decision = "handler";
  co_return outcome;
}

}  // namespace sallyport::proxy
