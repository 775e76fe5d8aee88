#include "agent/proxy/ask_origin.h"

#include <chrono>
#include <optional>
#include <utility>

#include "agent/proxy/mediation.h"
#include "agent/proxy/refusal.h"
#include "agent/proxy/splice_body.h"

namespace sallyport::proxy {
namespace {

constexpr std::chrono::minutes kResponseTime{5};

bool HasBody(const Attempt& attempt) { return attempt.request.framing != BodyFraming::kNone; }

bool IsTransformed(const Attempt& attempt) {
  return attempt.mediation != nullptr && attempt.mediation->transforms_request();
}

// How the container's own body ended, as far as it is known.
absl::Status ClientStatus(const Attempt& attempt) {
  if (IsTransformed(attempt)) return attempt.mediation->client_status();
  return attempt.pump != nullptr ? attempt.pump->client_status() : absl::OkStatus();
}

// The container waits to be asked for its body, and neither it nor we have begun with it.
bool ContainerWaits(const Exchange& exchange) {
  ServerExchange& client = *exchange.client.http;
  return exchange.head.expect_continue && !client.body_complete() && !client.body().ReadyNow();
}

// Whether the origin is to say that it wants the body.
bool ExpectsContinue(const Attempt& attempt) {
  if (IsTransformed(attempt)) return false;
  if (attempt.pump != nullptr) return attempt.pump->unasked();
  return attempt.first.empty() && ContainerWaits(attempt.exchange);
}

// Has the body follow the head.
void BeginBody(const Attempt& attempt, BodyPump::Begin begin) {
  ClientExchange& origin = *attempt.connection.http;
  if (IsTransformed(attempt)) {
    attempt.mediation->SendBodyTo(&origin);
  } else if (attempt.pump != nullptr) {
    attempt.pump->UseOrigin(&origin);
  } else {
    attempt.pump = BodyPump::ToOrigin(attempt.exchange.client, &origin, attempt.first, begin,
                                      attempt.request.withheld_trailers);
  }
}

// The origin's answer; interim ones on the way are passed on, but for its wish to have the body:
// the pump then asks the container for it, if nobody has.
Task<absl::StatusOr<ResponseHead>> ReadAnswer(const Attempt& attempt) {
  while (true) {
    absl::StatusOr<ResponseHead> head = co_await attempt.connection.http->ReadHead(kResponseTime);
    if (!head.ok() || head->status >= 200 || head->status == 101) co_return head;
    if (head->status == 100) {
      if (attempt.pump != nullptr) attempt.pump->GoOn();
      continue;
    }
    RemoveHopByHop(&head->headers);
    // A container that has gone is noticed by the answer's write.
    (void)co_await attempt.exchange.client.http->WriteInterim(*head);
  }
}

// Of a request without answer. A request that was certainly not processed may be sent again
// whatever it asks for, one that may have been only if twice is as good as once; each if no byte of
// its body has been taken.
std::optional<Retry> RetryAfter(const absl::Status& status, const Attempt& attempt) {
  if (IsTransformed(attempt) && HasBody(attempt)) return std::nullopt;
  const bool over_http1 = absl::IsFailedPrecondition(status);
  const bool unprocessed = over_http1 || absl::IsAborted(status);
  const bool harmless = attempt.connection.reused && absl::IsUnavailable(status) &&
                        IsIdempotent(attempt.request.method);
  if (!unprocessed && !harmless) return std::nullopt;
  if (attempt.pump != nullptr && !attempt.pump->LetGo()) return std::nullopt;
  return Retry{over_http1};
}

OriginFailure FailureOf(const absl::Status& status) {
  if (absl::IsDeadlineExceeded(status))
    return OriginFailureOf("origin_timeout", "no answer in time");
  const bool broken = absl::IsInvalidArgument(status) || absl::IsDataLoss(status);
  return OriginFailureOf(broken ? "origin_failed" : "origin_unreachable",
                         std::string(status.message()));
}

// The container was answered nothing yet.
Task<Sent> EndUnanswered(const Attempt& attempt, const AbandonmentWatch& watch, absl::Status status,
                         Outcome outcome) {
  std::optional<OriginFailure> handlers_failure;
  if (attempt.mediation != nullptr) {
    handlers_failure = attempt.mediation->failure();
    co_await attempt.mediation->LeaveOrigin();
  }
  if (watch.abandoned()) {
    outcome.detail = "the container hung up before the answer";
    co_return outcome;
  }
  const std::optional<Retry> retry = RetryAfter(status, attempt);
  if (retry.has_value()) co_return *retry;
  // A pump still has to be stopped, before its client is told.
  const absl::Status client_status =
      IsTransformed(attempt) ? ClientStatus(attempt) : absl::OkStatus();
  if (!client_status.ok()) co_return co_await RefuseBody(attempt.exchange, client_status);
  if (handlers_failure.has_value()) co_return *std::move(handlers_failure);
  co_return FailureOf(status);
}

// The answer broke off after its head.
Outcome CutOff(const Exchange& exchange, std::string_view decision, std::string_view reason,
               std::string detail, Outcome outcome) {
  outcome.decision = decision;
  outcome.reason = reason;
  outcome.detail = std::move(detail);
  exchange.client.http->Abort();
  return outcome;
}

// The container has gone. With all of an answer of known length it needs no end.
Outcome Left(const Exchange& exchange, const ResponseHead& answer, Outcome outcome) {
  const bool whole = answer.framing == BodyFraming::kLength &&
                     exchange.client.http->body_bytes_sent() == answer.content_length;
  if (!whole) outcome.detail = "the container hung up before the end of the answer";
  exchange.client.http->Abort();
  return outcome;
}

// Nothing more comes of the answer's body.
Outcome EndBroken(const Attempt& attempt, const AbandonmentWatch& watch, const ResponseHead& answer,
                  const absl::Status& status, Outcome outcome) {
  const Exchange& exchange = attempt.exchange;
  const absl::Status client_status = ClientStatus(attempt);
  if (!watch.abandoned() && absl::IsInvalidArgument(client_status)) {
    return CutOff(exchange, "reject", "bad_request", std::string(client_status.message()),
                  std::move(outcome));
  }
  if (watch.abandoned() || !client_status.ok()) return Left(exchange, answer, std::move(outcome));
  std::optional<OriginFailure> failure;
  if (attempt.mediation != nullptr) failure = attempt.mediation->failure();
  if (!failure.has_value()) {
    failure = OriginFailureOf(absl::IsDeadlineExceeded(status) ? "origin_timeout" : "origin_failed",
                              std::string(status.message()));
  }
  return CutOff(exchange, "error", failure->reason, std::move(failure->detail), std::move(outcome));
}

// The answer's body, piece by piece; the head has been written.
Task<Outcome> StreamBack(const Attempt& attempt, const AbandonmentWatch& watch,
                         const ResponseHead& answer, BodyReader& body, Outcome outcome) {
  const Exchange& exchange = attempt.exchange;
  ServerExchange& client = *exchange.client.http;
  while (true) {
    // What is late must not hold back what is here.
    if (!body.ReadyNow()) (void)co_await client.Flush();
    if (CanSplice(body.spliced(), client.spliced())) {
      const SplicedBody spliced = co_await SpliceBody(body.spliced(), client.spliced());
      if (!spliced.source.ok())
        co_return EndBroken(attempt, watch, answer, spliced.source, std::move(outcome));
      if (!spliced.sink.ok()) co_return Left(exchange, answer, std::move(outcome));
    }
    absl::StatusOr<std::string_view> piece = co_await body.Read();
    if (!piece.ok())
      co_return EndBroken(attempt, watch, answer, piece.status(), std::move(outcome));
    const bool end = piece->empty();
    const absl::Status written =
        end ? co_await client.FinishBody(body.trailers())
            : co_await client.WriteBody(*piece, body.ReadyNow() ? More::kAtOnce : More::kUnknown);
    if (attempt.mediation != nullptr && absl::IsInvalidArgument(written)) {
      attempt.mediation->Fail(WrongLength());
      OriginFailure failure = *attempt.mediation->failure();
      co_return CutOff(exchange, "error", failure.reason, std::move(failure.detail),
                       std::move(outcome));
    }
    if (!written.ok()) co_return Left(exchange, answer, std::move(outcome));
    if (end) co_return outcome;
  }
}

// Writes the head of an answer that goes to the container, and has the body follow.
Task<Outcome> PassBack(const Attempt& attempt, const AbandonmentWatch& watch,
                       const ResponseHead& answer, BodyReader& body, Outcome outcome) {
  ServerExchange& client = *attempt.exchange.client.http;
  outcome.status = answer.status;
  // An answer before the request's end leaves the rest of the body unread: the connection cannot be
  // kept.
  const bool keep_alive = attempt.exchange.head.keep_alive && client.body_complete();
  const absl::Status written = co_await client.WriteHead(answer, keep_alive);
  if (written.ok()) {
    outcome = co_await StreamBack(attempt, watch, answer, body, std::move(outcome));
  } else {
    outcome.detail = "the container hung up before the answer";
    client.Abort();
  }
  if (attempt.mediation != nullptr) co_await attempt.mediation->LeaveOrigin();
  co_return outcome;
}

// The handler has no word, or an illegal one, on the origin's answer.
Task<Sent> EndUninspected(const Attempt& attempt, const AbandonmentWatch& watch, Outcome outcome) {
  std::optional<OriginFailure> failure = attempt.mediation->failure();
  co_await attempt.mediation->LeaveOrigin();
  if (watch.abandoned()) {
    outcome.detail = "the container hung up before the answer";
    co_return outcome;
  }
  const absl::Status client_status =
      IsTransformed(attempt) ? ClientStatus(attempt) : absl::OkStatus();
  if (!client_status.ok()) co_return co_await RefuseBody(attempt.exchange, client_status);
  co_return *std::move(failure);
}

}  // namespace

Task<Sent> AskOrigin(Attempt attempt, Outcome outcome) {
  ClientExchange& origin = *attempt.connection.http;
  Mediation* const mediation = attempt.mediation;
  const AbandonmentWatch watch(attempt.exchange.client.http, [&origin, mediation] {
    origin.Abort();
    if (mediation != nullptr) mediation->Cancel();
  });
  OriginRequest& request = attempt.request;
  request.expect_continue = ExpectsContinue(attempt);
  const absl::Status sent = co_await origin.WriteHead(
      request, Authority{request.host, request.port}.ToString(DefaultPort(request.scheme)));
  if (attempt.connection.reused && absl::IsUnavailable(sent)) co_return Retry{};
  if (sent.ok() && HasBody(attempt)) {
    BeginBody(attempt,
              request.expect_continue ? BodyPump::Begin::kWhenAsked : BodyPump::Begin::kNow);
  } else if (sent.ok()) {
    (void)co_await origin.FinishBody(Headers{});  // What goes wrong, the answer tells.
  }
  if (watch.abandoned()) origin.Abort();
  absl::StatusOr<ResponseHead> answer = co_await ReadAnswer(attempt);
  if (!answer.ok())
    co_return co_await EndUnanswered(attempt, watch, answer.status(), std::move(outcome));
  outcome.status = answer->status;
  RemoveHopByHop(&answer->headers);
  if (answer->status == 101) co_return Switched{std::move(outcome), *std::move(answer)};
  // An answer to a request whose body is not wanted: the container is not asked for it any more.
  if (attempt.pump != nullptr && attempt.pump->unasked()) co_await attempt.pump->Stop();
  BodyReader* body = &origin.body();
  if (mediation != nullptr && mediation->inspects()) {
    body = co_await mediation->PassAnswer(&origin, &*answer);
    if (body == nullptr) co_return co_await EndUninspected(attempt, watch, std::move(outcome));
  }
  co_return co_await PassBack(attempt, watch, *answer, *body, std::move(outcome));
}

}  // namespace sallyport::proxy
