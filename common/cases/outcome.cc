#include "common/cases/outcome.h"

#include "common/base/strings.h"
#include "common/net/host.h"
#include "common/policy/explain.h"

namespace sallyport::cases {
namespace {

Outcome Denied(const EffectivePolicy& policy, const Deny& deny) {
  return {"deny", policy.deny_response.status, std::string(ReasonName(deny.reason))};
}

// An absolute-form target must name the same host and port as the Host field (semantics.md section
// 4).
bool TargetAgrees(const Request& request, const Authority& authority) {
  if (!request.target.has_value()) return true;
  std::string_view target = *request.target;
  const std::string prefix = request.scheme + "://";
  if (!target.starts_with(prefix)) return target.starts_with('/');
  target.remove_prefix(prefix.size());
  const auto named = Authority::Parse(target.substr(0, target.find('/')));
  return named.ok() && named->ToString(request.port) == authority.ToString(request.port);
}

Outcome OfRequest(const Case& c, const EffectivePolicy& policy, RequestScheme scheme,
                  const IpAddress& dialled) {
  if (!c.request.host.has_value()) return {"bad_request", 400};
  const auto authority = Authority::Parse(*c.request.host);
  if (!authority.ok() || !TargetAgrees(c.request, *authority)) return {"bad_request", 400};
  const Verdict verdict = DecideRequest(policy, scheme, authority->host, dialled);
  if (const auto* deny = std::get_if<Deny>(&verdict)) return Denied(policy, *deny);
  if (const auto* to = std::get_if<ToHandler>(&verdict)) {
    if (!c.handlers.contains(to->reference->handler)) return {"deny", 502, "handler_missing"};
    return {"handler", 0, "", "", to->reference->handler, to->reference->params};
  }
  const IpAddress& resolved = authority->host.is_address() ? authority->host.address() : dialled;
  const AddressVerdict address = CheckDialledAddress(policy, resolved, {});
  if (const auto* deny = std::get_if<Deny>(&address)) return Denied(policy, *deny);
  return {"egress"};
}

Outcome OfRelay(const EffectivePolicy& policy, const IpAddress& dialled, bool is_denied) {
  const AddressVerdict address = CheckDialledAddress(policy, dialled, {});
  if (is_denied || std::holds_alternative<Deny>(address)) return {"reset"};
  return {"relay", 0, "", "origin"};
}

// The TLS name: the SNI, or the address dialled. nullopt: an SNI that no host has.
std::optional<Host> TlsName(const Request& request, const IpAddress& dialled) {
  if (!request.sni.has_value()) return Host::FromAddress(dialled);
  const auto sni = Authority::Parse(*request.sni);
  if (!sni.ok()) return std::nullopt;
  return sni->host;
}

Outcome OfTls(const Case& c, const EffectivePolicy& policy, const IpAddress& dialled) {
  const std::optional<Host> name = TlsName(c.request, dialled);
  if (!name.has_value()) return {"reset"};
  const TlsVerdict verdict = DecideTls(policy, *name, dialled);
  if (!std::holds_alternative<Decrypt>(verdict)) {
    return OfRelay(policy, dialled, std::holds_alternative<Deny>(verdict));
  }
  Outcome outcome;
  const auto host = Authority::Parse(c.request.host.value_or(""));
  if (host.ok() && !(host->host == *name)) {
    outcome = {"misdirected", 421};
  } else {
    outcome = OfRequest(c, policy, RequestScheme::kHttps, dialled);
  }
  outcome.certificate = "interception";
  return outcome;
}

std::string_view OutcomeName(StepResult::Outcome outcome) {
  switch (outcome) {
    case StepResult::Outcome::kPasses:
      return "passes";
    case StepResult::Outcome::kDenies:
      return "denies";
    case StepResult::Outcome::kHandler:
      return "goes to a handler";
    case StepResult::Outcome::kEgress:
      return "lets it out";
  }
  return "";
}

}  // namespace

Outcome OutcomeOf(const Case& c, const EffectivePolicy& policy) {
  const IpAddress dialled = *IpAddress::Parse(c.request.dst);
  if (!IsHttpPort(policy, c.request.port)) {
    const auto authority = Authority::Parse(c.request.host.value_or(""));
    const TcpVerdict verdict =
        DecideTcp(policy, dialled, authority.ok() ? &authority->host : nullptr);
    return OfRelay(policy, dialled, std::holds_alternative<Deny>(verdict));
  }
  // The sniffer refuses what is neither TLS nor HTTP.
  if (c.request.scheme == "tcp") return {"bad_request", 400};
  if (c.request.scheme == "https") return OfTls(c, policy, dialled);
  return OfRequest(c, policy, RequestScheme::kHttp, dialled);
}

std::string WhyDecided(const Case& c, const EffectivePolicy& policy) {
  const IpAddress dialled = *IpAddress::Parse(c.request.dst);
  ExplainQuery query;
  query.scheme = c.request.scheme == "http"    ? ExplainQuery::Scheme::kHttp
                 : c.request.scheme == "https" ? ExplainQuery::Scheme::kHttps
                                               : ExplainQuery::Scheme::kTcp;
  query.port = c.request.port;
  query.dialled = dialled;
  query.resolved = {dialled};
  const auto host = Authority::Parse(c.request.host.value_or(""));
  query.host = host.ok() ? host->host : Host::FromAddress(dialled);
  if (c.request.scheme == "https") {
    query.host = TlsName(c.request, dialled).value_or(query.host);
  }
  const Explanation explanation = ExplainRequest(policy, query, {});
  std::string why = "no step decided";
  for (const ExplainedStep& step : explanation.steps) {
    if (!step.decides) continue;
    why = StrCat("step ", step.number, " (", step.name,
                 ") decided: ", OutcomeName(step.result.outcome), ", by ",
                 step.result.rule.ToString());
  }
  if (explanation.decision == "reject")
    why = "bytes that are neither HTTP nor TLS, on a sniffed port";
  if (explanation.would_deny.has_value()) {
    why += StrCat("; only monitor mode lets it pass: ", ReasonName(*explanation.would_deny));
  }
  if (c.request.scheme == "https" && explanation.decision != "reject") {
    why += explanation.decrypted ? "; decrypted" : "; not decrypted";
  }
  return why;
}

}  // namespace sallyport::cases
