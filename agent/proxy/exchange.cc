#include "agent/proxy/exchange.h"

#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "agent/proxy/admission.h"
#include "agent/proxy/ask_handler.h"
#include "agent/proxy/egress.h"
#include "agent/proxy/loop.h"
#include "agent/proxy/refusal.h"
#include "agent/proxy/run_builtin.h"
#include "agent/proxy/trace.h"
#include "agent/proxy/worker.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

constexpr size_t kMaxAuditMethodBytes = 32;

using Clock = std::chrono::steady_clock;

int64_t MicrosecondsSince(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start).count();
}

// `policy`: that of this moment, or null.
AuditRecord RecordOf(const ClientConnection& client, const EffectivePolicy* policy) {
  AuditRecord record;
  record.time = std::chrono::system_clock::now();
  record.request_id = client.container->NewRequestId();
  record.container_id = client.container->id();
  if (policy != nullptr) {
    record.class_name = policy->class_name;
    record.revision = policy->revision;
  }
  record.dialled = DialledText(client.origin);
  record.port = client.origin.port;
  record.scheme = client.tls != nullptr ? "https" : "http";
  return record;
}

void Finish(const ClientConnection& client, Outcome outcome, Clock::time_point start,
            AuditRecord* record) {
  record->decision = outcome.decision;
  record->reason = outcome.reason;
  record->rule = std::move(outcome.rule);
  record->handler = std::move(outcome.handler);
  record->status = outcome.status;
  record->upstream = std::move(outcome.upstream);
  record->handler_us = outcome.handler_us;
  record->lease = outcome.lease;
  record->detail = std::move(outcome.detail);
  if (outcome.upgraded != nullptr) {
    record->bytes_sent = outcome.upgraded->bytes().to_client;
    record->bytes_received = outcome.upgraded->bytes().from_client;
  } else {
    record->bytes_sent = client.http->body_bytes_sent();
    record->bytes_received = client.http->body_bytes_received();
  }
  record->would_deny = outcome.would_deny;
  record->duration_us = MicrosecondsSince(start);
  client.container->Audit(*record);
}

// The verdict's reason comes before one that was met on the way.
Outcome Monitored(Outcome outcome, std::optional<Reason> would_deny) {
  if (would_deny.has_value()) outcome.would_deny = ReasonName(*would_deny);
  return outcome;
}

Task<Outcome> Handle(const Exchange& exchange, const ToHandler& verdict) {
  std::shared_ptr<const HandlerSpec> handler =
      exchange.client.container->handler(verdict.reference->handler);
  if (handler != nullptr && handler->builtin != nullptr)
    co_return co_await RunBuiltin(exchange, verdict, std::move(handler));
  co_return co_await AskHandler(exchange, verdict, std::move(handler));
}

// Decides, and acts on the verdict. The last line of the switch is the default: nothing leaves.
Task<Outcome> Act(const Exchange& exchange) {
  if (exchange.policy == nullptr)
    co_return co_await RefuseByPolicy(exchange, Denial{Reason::kNoPolicy});
  const Verdict verdict = DecideRequest(*exchange.policy, exchange.destination.scheme,
                                        exchange.destination.host, exchange.client.origin.address);
  if (const auto* to_handler = std::get_if<ToHandler>(&verdict)) {
    Exchange handled = exchange;
    const Pattern* const pattern = to_handler->rule.pattern;
    if (pattern != nullptr && !pattern->Matches(exchange.destination.host))
      handled.within = pattern->network();
    co_return Monitored(co_await Handle(handled, *to_handler), to_handler->would_deny);
  }
  if (const auto* egress = std::get_if<Egress>(&verdict)) {
    Outcome outcome =
        co_await SendToOrigin(exchange, OriginRequestOf(exchange), egress->rule.ToString());
    co_return Monitored(std::move(outcome), egress->would_deny);
  }
  const auto* deny = std::get_if<Deny>(&verdict);
  co_return co_await RefuseByPolicy(exchange,
                                    deny != nullptr ? ToDenial(*deny) : Denial{Reason::kNoPolicy});
}

}  // namespace

Task<void> ServeRequest(ClientConnection client, RequestHead head) {
  const Clock::time_point start = Clock::now();
  std::shared_ptr<const EffectivePolicy> policy = client.container->policy();
  AuditRecord record = RecordOf(client, policy.get());
  record.method = head.method.substr(0, kMaxAuditMethodBytes);
  record.path = AuditPath(head.target);
  record.host = head.authority.host.text();
  if (client.container->worker().starts_traces()) StartTrace(&head.headers);
  record.trace_id = TraceId(head.headers);

  std::variant<Destination, Refusal> destination =
      DestinationOf(head, client.origin, client.tls.get());
  if (HasGoneRound(head.headers))
    destination = Refusal{508, "loop", "the request has passed too many agents"};
  if (const auto* refusal = std::get_if<Refusal>(&destination)) {
    Outcome outcome = co_await RefuseRequest(client, *refusal);
    Finish(client, std::move(outcome), start, &record);
    co_return;
  }
  const std::variant<RequestTokens, OverBudget> admitted =
      AdmitRequest(*client.container, head.websocket);
  Outcome outcome;
  {
    // Held for the whole exchange: a change of policy counts for the next request.
    const Exchange exchange{client, head, std::get<Destination>(destination), std::move(policy),
                            record.request_id};
    if (const auto* over = std::get_if<OverBudget>(&admitted)) {
      outcome = co_await RefuseOverBudget(exchange, *over);
    } else {
      outcome = co_await Act(exchange);
    }
  }
  // A WebSocket may last for days, and holds no policy.
  if (outcome.upgraded != nullptr) outcome.detail = co_await outcome.upgraded->Relay(client.http);
  Finish(client, std::move(outcome), start, &record);
}

Task<void> ServeBadMessage(ClientConnection client, int status, std::string detail) {
  const Clock::time_point start = Clock::now();
  AuditRecord record = RecordOf(client, client.container->policy().get());
  Outcome outcome;
  outcome.decision = "reject";
  outcome.reason = status == 503 ? "over_budget" : "bad_request";
  outcome.detail = detail;
  if (status != 0)
    outcome = co_await RefuseRequest(client, Refusal{status, outcome.reason, std::move(detail)});
  Finish(client, std::move(outcome), start, &record);
}

}  // namespace sallyport::proxy
