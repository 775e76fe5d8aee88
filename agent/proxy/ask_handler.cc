#include "agent/proxy/ask_handler.h"

#include <chrono>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "agent/proxy/admission.h"
#include "agent/proxy/body_pump.h"
#include "agent/proxy/egress.h"
#include "agent/proxy/forged_headers.h"
#include "agent/proxy/handlers/answer.h"
#include "agent/proxy/refusal.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

// Between two pieces of a handler's response.
constexpr std::chrono::minutes kPieceTime{5};

using Clock = std::chrono::steady_clock;

struct Failure {
  std::string_view reason;
  std::string detail;
};

Failure FailureOf(const absl::Status& status) {
  if (absl::IsDeadlineExceeded(status))
    return Failure{"handler_timeout", std::string(status.message())};
  if (absl::IsUnavailable(status))
    return Failure{"handler_unreachable", std::string(status.message())};
  if (absl::IsOutOfRange(status))
    return Failure{"handler_failed", "the handler ended its stream without an answer"};
  return Failure{"handler_failed", std::string(status.message())};
}

v1::HandleRequest StartMessage(const Exchange& exchange, const ToHandler& verdict) {
  v1::HandleRequest message;
  v1::RequestStart& start = *message.mutable_start();
  const OriginRequest request = OriginRequestOf(exchange);
  v1::Context& context = *start.mutable_context();
  context.set_container_id(exchange.client.container->id());
  context.set_class_name(exchange.policy->class_name);
  context.set_handler(verdict.reference->handler);
  *context.mutable_params() = verdict.reference->params;
  context.set_rule(verdict.rule.ToString());
  context.set_policy_revision(exchange.policy->revision);
  context.set_request_id(exchange.request_id);
  context.set_dialled_address(exchange.client.origin.address.ToString());
  context.set_dialled_port(exchange.client.origin.port);
  if (exchange.client.tls.has_value()) context.set_tls_version(exchange.client.tls->version);

  start.set_method(request.method);
  start.set_scheme(std::string(SchemeName(request.scheme)));
  start.set_authority(Authority{request.host, request.port}.ToString(DefaultPort(request.scheme)));
  start.set_path(request.target);
  for (const Header& header : request.headers.fields()) {
    if (SaysWhoAsks(header.name)) continue;
    v1::Header* copy = start.add_headers();
    copy->set_name(absl::AsciiStrToLower(header.name));
    copy->set_value(header.value);
  }
  start.set_has_body(exchange.head.framing != BodyFraming::kNone);
  if (exchange.head.framing == BodyFraming::kLength)
    start.set_content_length(exchange.head.content_length);
  return message;
}

// One call as it goes: the stream, and the pump that feeds it the body once the handler has asked.
struct Conversation {
  std::shared_ptr<HandlerLink> link;
  std::unique_ptr<HandlerCall> call;
  Gauge::Token budget;  // As long as the call.
  std::shared_ptr<BodyPump> pump;
  Clock::time_point start = Clock::now();
  int64_t decided_us = 0;
};

// Connects and sends the start message.
Task<absl::StatusOr<Conversation>> Begin(const Exchange& exchange,
                                         std::shared_ptr<const HandlerSpec> handler,
                                         v1::HandleRequest start, SteadyTime deadline) {
  Container& container = *exchange.client.container;
  Conversation conversation;
  absl::StatusOr<std::shared_ptr<HandlerLink>> link =
      co_await container.handlers().Get(handler, container.dial_context(), deadline);
  if (!link.ok()) co_return link.status();
  conversation.link = *std::move(link);
  absl::StatusOr<std::unique_ptr<HandlerCall>> call = conversation.link->Call();
  if (!call.ok()) co_return call.status();
  conversation.call = *std::move(call);
  const absl::Status sent = co_await conversation.call->Send(start);
  if (!sent.ok()) co_return sent;
  co_return conversation;
}

// The handler's first word: Respond or Forward. Serves ReadBody on the way.
Task<absl::StatusOr<v1::HandleResponse>> AwaitAnswer(const Exchange& exchange,
                                                     Conversation& conversation,
                                                     SteadyTime deadline) {
  while (true) {
    absl::StatusOr<v1::HandleResponse> message = co_await conversation.call->Receive(deadline);
    if (!message.ok()) co_return message.status();
    if (message->has_respond() || message->has_forward()) co_return message;
    if (!message->has_read_body())
      co_return absl::InternalError("the handler sent a body before a response");
    if (conversation.pump != nullptr)
      co_return absl::InternalError("the handler asked for the body twice");
    conversation.pump = BodyPump::ToHandler(exchange.client, conversation.call.get());
  }
}

// Takes `content-length` out of the headers: the proxy frames the body itself. Returns an error for
// a length that is none.
absl::Status SetFraming(ResponseHead* head) {
  head->framing = BodyFraming::kChunked;
  const std::string* length = head->headers.Find("content-length");
  if (length == nullptr) return absl::OkStatus();
  if (head->headers.Count("content-length") != 1 ||
      !absl::SimpleAtoi(*length, &head->content_length)) {
    return absl::InternalError("the handler's content-length is not a length");
  }
  head->framing = BodyFraming::kLength;
  head->headers.Remove("content-length");
  return absl::OkStatus();
}

// What went wrong, or an empty reason.
Task<Failure> StreamResponse(const Exchange& exchange, Conversation& conversation, Respond answer) {
  ServerExchange& client = *exchange.client.http;
  ResponseHead head;
  head.status = answer.status;
  head.headers = std::move(answer.headers);
  const absl::Status framed = SetFraming(&head);
  if (!framed.ok()) co_return FailureOf(framed);
  const bool keep_alive =
      exchange.head.keep_alive && (client.body_complete() || !exchange.head.expect_continue);
  absl::Status written = co_await client.WriteHead(head, keep_alive);
  while (written.ok()) {
    written = co_await client.Flush();
    absl::StatusOr<v1::HandleResponse> message =
        co_await conversation.call->Receive(Clock::now() + kPieceTime);
    if (!message.ok()) co_return FailureOf(message.status());
    if (message->has_body()) {
      written = co_await client.WriteBody(message->body());
      continue;
    }
    if (!message->has_end())
      co_return Failure{"handler_failed",
                        "a message that is neither body nor end, after the response's head"};
    absl::StatusOr<Headers> trailers = ValidateTrailers(message->end());
    if (!trailers.ok()) co_return FailureOf(trailers.status());
    written = co_await client.FinishBody(*trailers);
    if (written.ok()) co_return Failure{};
  }
  if (absl::IsInvalidArgument(written)) {
    co_return Failure{"handler_failed",
                      "the handler's body does not have the length that it declared"};
  }
  exchange.client.http->Abort();
  co_return Failure{};
}

void RemoveAllSpellings(std::string_view name, Headers* headers) {
  headers->RemoveIf([name](const Header& header) { return IsSameVariable(header.name, name); });
}

OriginRequest Changed(const Exchange& exchange, Forward forward) {
  OriginRequest request = OriginRequestOf(exchange);
  if (!forward.method.empty()) request.method = std::move(forward.method);
  if (!forward.path.empty()) request.target = std::move(forward.path);
  const bool raised = forward.scheme == "https" && request.scheme == RequestScheme::kHttp;
  if (raised) request.scheme = RequestScheme::kHttps;
  if (forward.authority.has_value()) {
    request.host = forward.authority->host;
    request.port = forward.authority->port.value_or(DefaultPort(request.scheme));
  } else if (raised && request.port == DefaultPort(RequestScheme::kHttp)) {
    request.port = DefaultPort(RequestScheme::kHttps);
  }
  for (const std::string& name : forward.remove_headers) {
    RemoveAllSpellings(name, &request.headers);
    if (name == "upgrade") request.websocket = false;
  }
  if (request.method != "GET") request.websocket = false;
  // The container's own copies go first, so that exactly what the handler set is sent.
  for (const Header& header : forward.set_headers.fields())
    RemoveAllSpellings(header.name, &request.headers);
  for (const Header& header : forward.set_headers.fields())
    request.headers.Add(header.name, header.value);
  return request;
}

}  // namespace

Task<Outcome> ForwardOn(const Exchange& exchange, Forward forward, const ToHandler& verdict) {
  OriginRequest request = Changed(exchange, std::move(forward));
  const std::shared_ptr<const EffectivePolicy> now = exchange.client.container->policy();
  if (now == nullptr) co_return co_await RefuseByPolicy(exchange, Denial{Reason::kNoPolicy});
  const AddressVerdict host = CheckForwardHost(*now, request.host);
  if (const Deny* deny = std::get_if<Deny>(&host))
    co_return co_await RefuseByPolicy(exchange, ToDenial(*deny));
  Outcome outcome = co_await SendToOrigin(exchange, std::move(request), verdict.rule.ToString());
  const std::optional<Reason> would_deny = std::get<MayDial>(host).would_deny;
  if (would_deny.has_value()) outcome.would_deny = ReasonName(*would_deny);
  co_return outcome;
}

namespace {

Task<Outcome> Fail(const Exchange& exchange, const HandlerSpec& handler, Failure failure,
                   bool body_touched) {
  const bool answered = exchange.client.http->response_begun();
  if (handler.egress_on_failure && !answered && !body_touched) {
    const std::string rule =
        StrCat("handler ", handler.name, " on_failure egress: ", failure.reason);
    // As if no handler rule had matched.
    const TcpVerdict verdict = DecideWithoutHandlers(*exchange.policy, exchange.destination.host,
                                                     exchange.client.origin.address);
    if (const Deny* deny = std::get_if<Deny>(&verdict)) {
      co_return co_await RefuseByPolicy(exchange, Denial{deny->reason, rule});
    }
    Outcome outcome = co_await SendToOrigin(exchange, OriginRequestOf(exchange), rule);
    const std::optional<Reason> would_deny = std::get<Relay>(verdict).would_deny;
    if (would_deny.has_value()) outcome.would_deny = ReasonName(*would_deny);
    co_return outcome;
  }
  const int status = failure.reason == "handler_timeout" ? 504 : 502;
  co_return co_await AnswerFailure(exchange, status, failure.reason, std::move(failure.detail));
}

Task<Outcome> Converse(const Exchange& exchange, const ToHandler& verdict,
                       std::shared_ptr<const HandlerSpec> handler, Conversation& conversation,
                       SteadyTime deadline) {
  auto watch = std::make_unique<AbandonmentWatch>(exchange.client.http,
                                                  [&call = conversation.call] { call->Cancel(); });
  absl::StatusOr<v1::HandleResponse> message =
      co_await AwaitAnswer(exchange, conversation, deadline);
  conversation.decided_us =
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - conversation.start)
          .count();
  Failure failure;
  const bool body_touched = conversation.pump != nullptr;
  if (!message.ok()) {
    failure = FailureOf(message.status());
  } else if (message->has_forward()) {
    absl::StatusOr<Forward> forward =
        ValidateForward(message->forward(), SchemeName(exchange.destination.scheme));
    if (body_touched)
      forward = absl::InternalError("the handler forwards after it has read the body");
    if (forward.ok()) {
      watch = nullptr;
      conversation.call = nullptr;
      conversation.budget.Release();
      co_return co_await ForwardOn(exchange, *std::move(forward), verdict);
    }
    failure = Failure{"handler_failed", std::string(forward.status().message())};
  } else {
    absl::StatusOr<Respond> respond = ValidateRespond(message->respond());
    failure = respond.ok() ? co_await StreamResponse(exchange, conversation, *std::move(respond))
                           : Failure{"handler_failed", std::string(respond.status().message())};
    if (failure.reason.empty()) {
      Outcome outcome;
      outcome.decision = "handler";
      outcome.rule = verdict.rule.ToString();
      outcome.status = message->respond().status();
      co_return outcome;
    }
  }
  if (conversation.pump != nullptr) co_await conversation.pump->Stop();
  if (conversation.pump != nullptr && !conversation.pump->client_status().ok()) {
    co_return co_await RefuseBody(exchange, conversation.pump->client_status());
  }
  co_return co_await Fail(exchange, *handler, std::move(failure), body_touched);
}

}  // namespace

Task<Outcome> AskHandler(const Exchange& exchange, ToHandler verdict) {
  Outcome outcome;
  const std::shared_ptr<const HandlerSpec> handler =
      exchange.client.container->handler(verdict.reference->handler);
  if (handler == nullptr) {
    outcome = co_await AnswerFailure(
        exchange, 502, "handler_missing",
        StrCat("no handler of the name ", verdict.reference->handler, " is registered"));
  } else if (auto admitted = AdmitHandlerCall(*exchange.client.container);
             const auto* over = std::get_if<OverBudget>(&admitted)) {
    // Not the handler's failure: its on_failure does not count.
    outcome = co_await RefuseOverBudget(exchange, *over);
  } else {
    const SteadyTime deadline = Clock::now() + std::chrono::milliseconds(handler->timeout_ms);
    absl::StatusOr<Conversation> conversation =
        co_await Begin(exchange, handler, StartMessage(exchange, verdict), deadline);
    if (!conversation.ok()) {
      outcome = co_await Fail(exchange, *handler, FailureOf(conversation.status()), false);
    } else {
      conversation->budget = std::move(std::get<Gauge::Token>(admitted));
      outcome = co_await Converse(exchange, verdict, handler, *conversation, deadline);
      outcome.handler_us = conversation->decided_us;
      if (conversation->pump != nullptr) co_await conversation->pump->Stop();
    }
  }
  outcome.handler = verdict.reference->handler;
  outcome.rule = verdict.rule.ToString();
  if (outcome.decision == "egress") outcome.decision = "handler";
  co_return outcome;
}

}  // namespace sallyport::proxy
