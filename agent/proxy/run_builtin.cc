#include "agent/proxy/run_builtin.h"

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_join.h"
#include "agent/proxy/builtin/secret_table.h"
#include "agent/proxy/forward_changes.h"
#include "agent/proxy/handler_outcome.h"
#include "agent/proxy/refusal.h"
#include "common/base/strings.h"
#include "common/builtin/evaluate.h"

namespace sallyport::proxy {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view kAllButTrace = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

// Answers in the origin's place; `reason` empty: as the policy wants it.
Task<Outcome> Answer(const Exchange& exchange, ResponseHead head, std::string_view body,
                     std::string_view reason, std::string detail) {
  Outcome outcome;
  outcome.decision = "handler";
  outcome.reason = reason;
  outcome.status = head.status;
  outcome.detail = std::move(detail);
  if (!reason.empty()) {
    head.headers.Add("content-type", "text/plain");
    head.headers.Add("sallyport-reason", reason);
  }
  const absl::Status written = co_await AnswerHere(exchange, std::move(head), body);
  if (!written.ok()) outcome.detail = "the container hung up before the answer";
  co_return outcome;
}

Task<Outcome> Refuse(const Exchange& exchange, const BuiltinSpec& spec, BuiltinRefusal refusal) {
  ResponseHead head;
  head.status = refusal.status;
  // RFC 9110 section 15.5.6.
  if (refusal.status == 405) {
    head.headers.Add("allow", spec.allow_methods.empty() ? std::string(kAllButTrace)
                                                         : absl::StrJoin(spec.allow_methods, ", "));
  }
  const std::string body = StrCat(refusal.reason, "\n");
  co_return co_await Answer(exchange, std::move(head), body, refusal.reason,
                            std::move(refusal.detail));
}

Task<Outcome> RefuseOverRate(const Exchange& exchange, std::chrono::nanoseconds wait) {
  ResponseHead head;
  head.status = 429;
  head.headers.Add("retry-after", StrCat(std::chrono::ceil<std::chrono::seconds>(wait).count()));
  co_return co_await Answer(exchange, std::move(head), "rate_limited\n", "rate_limited",
                            "more requests than the handler's rate_limit");
}

Task<Outcome> Respond(const Exchange& exchange, const BuiltinSpec::Response& response) {
  ResponseHead head;
  head.status = response.status;
  for (const auto& [name, value] : response.headers) head.headers.Add(name, value);
  co_return co_await Answer(exchange, std::move(head), response.body, "", "");
}

Task<Outcome> Redirect(const Exchange& exchange, BuiltinRedirect redirect) {
  ResponseHead head;
  head.status = redirect.status;
  if (!IsLegalHeader("location", redirect.location)) {
    co_return co_await AnswerFailure(exchange, 502, "handler_failed",
                                     "the redirect's location is no header");
  }
  head.headers.Add("location", redirect.location);
  co_return co_await Answer(exchange, std::move(head), "", "", "");
}

// Why the headers cannot be set, or nothing.
std::string SetHeaders(const BuiltinSpec& spec, const SecretTable& secrets, Headers* headers) {
  for (const BuiltinSpec::SetHeader& header : spec.set_headers) {
    if (header.secret.empty()) {
      headers->Add(header.name, header.value);
      continue;
    }
    const SecretTable::Entry* const secret = secrets.Find(header.secret);
    if (secret == nullptr) return StrCat(header.secret, " is not known to the agent yet");
    if (!secret->problem.empty()) return StrCat(header.secret, " ", secret->problem);
    if (secret->value.empty()) return StrCat(header.secret, " is empty");
    headers->Add(header.name, header.Wrap(secret->value));
  }
  return "";
}

Task<Outcome> ForwardChanged(const Exchange& exchange, const std::string& rule,
                             const BuiltinSpec& spec, BuiltinForward changed) {
  Forward forward;
  const std::string missing =
      SetHeaders(spec, exchange.client.container->secrets(), &forward.set_headers);
  if (!missing.empty()) co_return co_await AnswerFailure(exchange, 502, "handler_failed", missing);
  if (spec.raise_to_https) forward.scheme = "https";
  forward.authority = spec.authority;
  forward.path = std::move(changed.target);
  forward.remove_headers = spec.remove_headers;
  co_return co_await SendForwarded(exchange, Changed(exchange, forward), rule);
}

Task<Outcome> CarryOut(const Exchange& exchange, const std::string& rule,
                       const HandlerSpec& handler) {
  const BuiltinSpec& spec = *handler.builtin;
  if (spec.rate_limit.has_value()) {
    const std::optional<std::chrono::nanoseconds> wait =
        exchange.client.container->builtin_rates().Take(handler.name, *spec.rate_limit,
                                                        Clock::now());
    if (wait.has_value()) co_return co_await RefuseOverRate(exchange, *wait);
  }
  const Destination& destination = exchange.destination;
  const std::string host = destination.host.ToUriString();
  const std::string authority =
      Authority{destination.host, destination.port}.ToString(DefaultPort(destination.scheme));
  BuiltinVerdict said = EvaluateBuiltin(spec, {exchange.head.method, SchemeName(destination.scheme),
                                               host, authority, exchange.head.target});
  if (auto* refusal = std::get_if<BuiltinRefusal>(&said))
    co_return co_await Refuse(exchange, spec, std::move(*refusal));
  if (const auto* respond = std::get_if<BuiltinRespond>(&said))
    co_return co_await Respond(exchange, *respond->response);
  if (auto* redirect = std::get_if<BuiltinRedirect>(&said))
    co_return co_await Redirect(exchange, std::move(*redirect));
  co_return co_await ForwardChanged(exchange, rule, spec,
                                    std::move(std::get<BuiltinForward>(said)));
}

}  // namespace

Task<Outcome> RunBuiltin(const Exchange& exchange, ToHandler verdict,
                         std::shared_ptr<const HandlerSpec> handler) {
  std::string rule = verdict.rule.ToString();
  Outcome outcome = co_await CarryOut(exchange, rule, *handler);
  outcome.handler = handler->name;
  outcome.rule = std::move(rule);
  if (outcome.decision == "egress") outcome.decision = "handler";
  co_return outcome;
}

}  // namespace sallyport::proxy
