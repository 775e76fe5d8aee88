#include "agent/proxy/handler_outcome.h"

#include <optional>
#include <utility>

#include "agent/proxy/mediation.h"
#include "agent/proxy/refusal.h"
#include "common/base/strings.h"

namespace sallyport::proxy {

Task<Outcome> SendForwarded(const Exchange& exchange, OriginRequest request,
                            const std::string& rule, Mediation* mediation) {
  const std::shared_ptr<const EffectivePolicy> now = exchange.client.container->policy();
  if (now == nullptr) co_return co_await RefuseByPolicy(exchange, Denial{Reason::kNoPolicy});
  const AddressVerdict host = CheckForwardHost(*now, request.host);
  if (const Deny* deny = std::get_if<Deny>(&host)) {
    if (mediation != nullptr) co_await mediation->LeaveContainer();
    co_return co_await RefuseToSend(exchange, request, ToDenial(*deny));
  }
  Outcome outcome = co_await SendToOrigin(exchange, std::move(request), rule, mediation);
  const std::optional<Reason> would_deny = std::get<MayDial>(host).would_deny;
  if (would_deny.has_value()) outcome.would_deny = ReasonName(*would_deny);
  co_return outcome;
}

Task<Outcome> FailHandler(const Exchange& exchange, const HandlerSpec& handler,
                          HandlerFailure failure, bool body_touched) {
  const bool answered = exchange.client.http->response_begun();
  const bool failed = failure.reason != "handler_busy";
  if (handler.egress_on_failure && failed && !answered && !body_touched) {
    const std::string rule =
        StrCat("handler ", handler.name, " on_failure egress: ", failure.reason);
    // As if no handler rule had matched.
    const TcpVerdict verdict = DecideWithoutHandlers(*exchange.policy, exchange.destination.host,
                                                     exchange.client.origin.address);
    if (const Deny* deny = std::get_if<Deny>(&verdict)) {
      Outcome outcome = co_await RefuseByPolicy(exchange, Denial{deny->reason, rule});
      outcome.failed_open = true;
      co_return outcome;
    }
    Outcome outcome = co_await SendToOrigin(exchange, OriginRequestOf(exchange), rule);
    outcome.failed_open = true;
    outcome.rule = rule;
    if (outcome.detail.empty()) outcome.detail = std::move(failure.detail);
    const std::optional<Reason> would_deny = std::get<Relay>(verdict).would_deny;
    if (would_deny.has_value()) outcome.would_deny = ReasonName(*would_deny);
    co_return outcome;
  }
  const int status = failure.http_status();
  co_return co_await AnswerFailure(exchange, status, failure.reason, std::move(failure.detail));
}

}  // namespace sallyport::proxy
