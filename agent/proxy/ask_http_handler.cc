#include "agent/proxy/ask_http_handler.h"

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "agent/proxy/body_pump.h"
#include "agent/proxy/forward_changes.h"
#include "agent/proxy/handler_outcome.h"
#include "agent/proxy/handler_response.h"
#include "agent/proxy/handler_start.h"
#include "agent/proxy/handlers/attempts.h"
#include "agent/proxy/handlers/http_protocol.h"
#include "agent/proxy/refusal.h"
#include "agent/proxy/use_lease.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// A server that does not know of `expect: 100-continue` is sent the body after this.
constexpr milliseconds kContinueTime{1000};
// What may come with a 299; a connection with more is not kept.
constexpr size_t kMaxForwardBody = 64 * 1024;

// One request to the web server as it goes.
struct Question {
  const Exchange& exchange;
  const AskedBy& by;
  const std::shared_ptr<const HandlerSpec> handler;
  Gauge::Token budget;
  const SteadyTime deadline;
  const Clock::time_point start = Clock::now();

  std::unique_ptr<H1ClientConnection> http = nullptr;
  EndpointCall endpoint = {};
  bool reused = false;
  std::shared_ptr<BodyPump> pump = nullptr;
  int64_t decided_us = 0;

  bool has_body() const { return exchange.head.framing != BodyFraming::kNone; }
  milliseconds time_left() const {
    return std::max(std::chrono::ceil<milliseconds>(deadline - Clock::now()), milliseconds(1));
  }
};

// Connects and sends the head; the body only once the server has asked for it, or says nothing.
Task<absl::Status> Begin(Question& question, const v1::RequestStart& start,
                         HandlerPool::Endpoints tried, HandlerPool::Idle idle) {
  Container& container = *question.exchange.client.container;
  CO_ASSIGN_OR_RETURN(
      const std::string token,
      container.IdentityToken(question.handler, question.exchange.policy->class_name));
  absl::StatusOr<HandlerConnection> connection = co_await container.handlers().Get(
      question.handler, question.deadline, std::move(tried), idle);
  if (!connection.ok()) co_return connection.status();
  question.endpoint = std::move(connection->call);
  question.http = std::move(connection->http);
  question.reused = connection->reused;

  RequestHead head = HttpRequestOf(start);
  if (!token.empty()) head.headers.Add("sallyport-identity", token);
  head.framing = question.exchange.head.framing;
  head.content_length = question.exchange.head.content_length;
  const absl::Status written = co_await question.http->WriteHead(head, start.authority());
  if (!written.ok()) co_return written;
  if (!question.has_body()) co_return co_await question.http->FinishBody(Headers{});
  const H1ClientConnection::Continue wanted =
      co_await question.http->AwaitContinue(std::min(kContinueTime, question.time_left()));
  if (wanted == H1ClientConnection::Continue::kAnswer) co_return absl::OkStatus();
  if (wanted == H1ClientConnection::Continue::kSilence && Clock::now() >= question.deadline)
    co_return absl::DeadlineExceededError("the handler sent nothing in time");
  question.pump = BodyPump::ToHandler(question.exchange.client, question.http.get());
  co_return absl::OkStatus();
}

// The head of the final answer. Interim ones are the handler's own affair.
Task<absl::StatusOr<ResponseHead>> AwaitAnswer(Question& question) {
  while (true) {
    absl::StatusOr<ResponseHead> head = co_await question.http->ReadHead(question.time_left());
    if (!head.ok() || head->status >= 200) co_return head;
  }
}

// An idle connection that the server closed at the moment it was used is no failure, if the request
// may be sent twice.
bool WasStale(const Question& question, const absl::Status& failure) {
  return question.reused && question.pump == nullptr && absl::IsUnavailable(failure) &&
         IsIdempotent(question.exchange.head.method);
}

// One attempt.
Task<absl::StatusOr<ResponseHead>> AskOnce(Question& question, const v1::RequestStart& start,
                                           const AbandonmentWatch& watch,
                                           HandlerPool::Endpoints tried, HandlerPool::Idle idle) {
  const absl::Status begun = co_await Begin(question, start, std::move(tried), idle);
  // While there was no connection yet to be given up.
  if (watch.abandoned()) co_return absl::CancelledError("the container hung up");
  // What could not be written to its end may have been answered before.
  if (question.http == nullptr || absl::IsDeadlineExceeded(begun)) co_return begun;
  co_return co_await AwaitAnswer(question);
}

// What waits for the handler has been ended for want of a container, and not by the handler.
bool ContainerIsGone(const Question& question, const AbandonmentWatch& watch) {
  return watch.abandoned() || (question.pump != nullptr && !question.pump->client_status().ok());
}

// Asks until there is an answer, or no more attempt that is safe and asked for.
Task<absl::StatusOr<ResponseHead>> Ask(Question& question, const AbandonmentWatch& watch) {
  const v1::HandleRequest message = StartMessage(question.exchange, question.by);
  HandlerPool::Endpoints tried;
  HandlerPool::Idle idle = HandlerPool::Idle::kWelcome;
  AttemptsLeft attempts(*question.handler);
  while (true) {
    absl::StatusOr<ResponseHead> answer =
        co_await AskOnce(question, message.start(), watch, tried, idle);
    if (answer.ok() || ContainerIsGone(question, watch)) co_return answer;
    if (question.endpoint.endpoint() == nullptr) co_return answer;
    const bool stale = WasStale(question, answer.status());
    if (!stale) question.endpoint.Failed();
    if (question.pump != nullptr) co_return answer;
    if (!stale && !attempts.Take(answer.status(), question.deadline)) co_return answer;
    if (stale) {
      idle = HandlerPool::Idle::kUnwanted;
    } else {
      tried.push_back(question.endpoint.endpoint());
    }
    question.http = nullptr;
    question.endpoint.Release();
  }
}

// What the server's connection did wrong, or where it failed.
HandlerFailure FailureOf(const absl::Status& status) {
  if (absl::IsDataLoss(status) || absl::IsInvalidArgument(status))
    return {"handler_failed", std::string(status.message())};
  return HandlerFailureOf(status);
}

Outcome Ended(int status, std::string_view detail) {
  Outcome outcome;
  outcome.decision = "handler";
  outcome.status = status;
  outcome.detail = detail;
  return outcome;
}

Task<Outcome> Fail(Question& question, HandlerFailure failure) {
  const bool body_touched = question.pump != nullptr;
  if (body_touched) {
    co_await question.pump->Stop();
    const absl::Status& of_client = question.pump->client_status();
    if (!of_client.ok()) co_return co_await RefuseBody(question.exchange, of_client);
  }
  co_return co_await FailHandler(question.exchange, *question.handler, std::move(failure),
                                 body_touched);
}

// Keeps the connection for the next request if it carries nothing any more.
void Keep(Question& question) {
  if (question.http->reusable() && !question.exchange.client.container->closed())
    HandlerPool::Put(question.endpoint.endpoint(), std::move(question.http));
}

// Reads what little body comes with a 299, so that the connection can be kept.
Task<void> ReadAway(BodyReader& body) {
  size_t bytes = 0;
  while (bytes <= kMaxForwardBody) {
    const absl::StatusOr<std::string_view> piece = co_await body.Read();
    if (!piece.ok() || piece->empty()) co_return;
    bytes += piece->size();
  }
}

absl::StatusOr<Forward> LegalForward(const Question& question, const Headers& headers) {
  if (question.pump != nullptr) {
    return absl::InternalError(
        "the handler forwards (299) after it was sent the body; answer before it is read, and "
        "without `100 Continue`");
  }
  const absl::StatusOr<v1::Forward> message = ForwardOf(headers);
  if (!message.ok()) return message.status();
  return ValidateForward(*message, SchemeName(question.exchange.destination.scheme));
}

Task<Outcome> ForwardAsTold(Question& question, const ResponseHead& answer) {
  const absl::StatusOr<Forward> forward = LegalForward(question, answer.headers);
  if (!forward.ok()) {
    question.endpoint.Failed();
    co_return co_await Fail(question, {"handler_failed", std::string(forward.status().message())});
  }
  question.endpoint.Answered();
  if (forward->revoke_leases)
    question.exchange.client.container->leases().RevokeOf(question.handler->name);
  if (forward->lease.has_value()) {
    GrantLease(question.exchange, question.by, *question.handler, *forward->lease, *forward);
  }
  if (!question.has_body()) {
    co_await ReadAway(question.http->body());
    Keep(question);
  }
  question.http = nullptr;
  question.endpoint.Release();
  question.budget.Release();
  co_return co_await SendForwarded(question.exchange, Changed(question.exchange, *forward),
                                   question.by.rule);
}

// Streams the answer back. What the handler did wrong, or nullopt; then the container has all of
// it, or has hung up.
Task<std::optional<HandlerFailure>> StreamBack(Question& question, const ResponseHead& answer) {
  ServerExchange& client = *question.exchange.client.http;
  BodyReader& body = question.http->body();
  const bool keep_alive = question.exchange.head.keep_alive && client.body_complete();
  absl::Status written = co_await client.WriteHead(answer, keep_alive);
  while (written.ok()) {
    // What is late must not hold back what is here.
    if (!body.ReadyNow()) (void)co_await client.Flush();
    const absl::StatusOr<std::string_view> piece = co_await body.Read();
    if (!piece.ok()) co_return FailureOf(piece.status());
    if (piece->empty()) {
      written = co_await client.FinishBody(body.trailers());
      if (written.ok()) co_return std::nullopt;
      break;
    }
    written = co_await client.WriteBody(*piece, body.ReadyNow() ? More::kAtOnce : More::kUnknown);
  }
  client.Abort();
  co_return std::nullopt;
}

// Keeps the answer for further requests once all of it is here, and passes it on.
Task<std::optional<HandlerFailure>> LeaseAndWrite(Question& question, ResponseHead answer,
                                                  LeaseTerms terms) {
  const Exchange& exchange = question.exchange;
  Respond respond;
  respond.status = answer.status;
  respond.headers = std::move(answer.headers);
  const absl::StatusOr<WholeBody> whole =
      co_await ReadLeased(exchange, respond, question.http->body());
  if (!whole.ok()) co_return FailureOf(whole.status());
  GrantLease(exchange, question.by, *question.handler, std::move(terms),
             LeasedResponse{respond, whole->bytes, whole->trailers});
  co_await WriteWhole(exchange, respond, *whole);
  co_return std::nullopt;
}

Task<Outcome> RespondAsTold(Question& question, ResponseHead answer,
                            const AbandonmentWatch& watch) {
  RemoveHopByHop(&answer.headers);
  absl::StatusOr<LeaseOrders> orders = TakeLeaseOrders(&answer.headers);
  if (!orders.ok()) {
    question.endpoint.Failed();
    co_return co_await Fail(question, {"handler_failed", std::string(orders.status().message())});
  }
  question.endpoint.Answered();
  if (orders->revoke_leases)
    question.exchange.client.container->leases().RevokeOf(question.handler->name);
  const std::optional<HandlerFailure> failure =
      orders->lease.has_value()
          ? co_await LeaseAndWrite(question, answer, *std::move(orders->lease))
          : co_await StreamBack(question, answer);
  if (failure.has_value() && !watch.abandoned()) {
    if (!ContainerIsGone(question, watch)) question.endpoint.Failed();
    co_return co_await Fail(question, *failure);
  }
  if (question.pump != nullptr) co_await question.pump->Stop();
  Keep(question);
  co_return Ended(answer.status,
                  failure.has_value() ? "the container hung up before the end of the answer" : "");
}

Task<Outcome> Converse(Question& question) {
  const AbandonmentWatch watch(question.exchange.client.http, [&question] {
    if (question.http != nullptr) question.http->Abort();
  });
  absl::StatusOr<ResponseHead> answer = co_await Ask(question, watch);
  question.decided_us =
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - question.start).count();
  if (watch.abandoned()) co_return Ended(0, "the container hung up before the answer");
  if (!answer.ok()) co_return co_await Fail(question, FailureOf(answer.status()));
  if (answer->status == kForwardStatus) co_return co_await ForwardAsTold(question, *answer);
  co_return co_await RespondAsTold(question, *std::move(answer), watch);
}

}  // namespace

Task<Outcome> AskHttpHandler(const Exchange& exchange, const AskedBy& by,
                             std::shared_ptr<const HandlerSpec> handler, Gauge::Token budget,
                             SteadyTime deadline) {
  Question question{exchange, by, std::move(handler), std::move(budget), deadline};
  Outcome outcome = co_await Converse(question);
  outcome.handler_us = question.decided_us;
  if (question.pump != nullptr) co_await question.pump->Stop();
  co_return outcome;
}

}  // namespace sallyport::proxy
