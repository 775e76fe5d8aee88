#include "common/policy/decide.h"

#include <algorithm>

namespace sallyport {
namespace {

using enum StepResult::Outcome;

struct Decided {
  StepResult result;
  std::optional<Reason> would_deny = {};
};

// A name of Sallyport's own (docs/policy.md). `sallyport doctor` asks for it.
bool IsCheckHost(const Host& host) { return host.text() == "check.sallyport.internal"; }

Deny DenyCheckHost() { return Deny{Reason::kNotAllowed, {"", "platform", nullptr, "(check)", {}}}; }

// Runs the steps until one decides.
Decided Walk(const Question& question) {
  std::optional<Reason> waived;
  for (const Step& step : DecisionSteps()) {
    if (!IsAsked(step, question.traffic)) continue;
    const StepResult result = step.run(question);
    if (result.outcome == kPasses) continue;
    if (result.outcome == kDenies && question.policy.monitor) {
      if (!waived.has_value()) waived = result.reason;
      continue;
    }
    return {result, waived};
  }
  // In monitor mode, and only there, the last step's denial is waived too.
  if (waived.has_value()) return {{kEgress, {"class", "monitor", nullptr, "", {}}}, waived};
  return {{kDenies, {}, Reason::kNoPolicy}};
}

// Of a question that no handler is asked about.
TcpVerdict RelayOrDeny(const Question& question) {
  const Decided decided = Walk(question);
  if (decided.result.outcome == kEgress) return Relay{decided.result.rule, decided.would_deny};
  return Deny{decided.result.reason, decided.result.rule};
}

// Whether decrypting would change what happens: without that, the container's own TLS is left
// alone.
bool SomethingToDecideInside(const EffectivePolicy& policy, const Host& name,
                             const IpAddress& dialled) {
  if (policy.allowed_hosts.has_value() || policy.denied_hosts.has_value()) return true;
  const Question question(policy, Traffic::kHttps, name, &dialled);
  const auto steps = DecisionSteps();
  return std::any_of(steps.begin(), steps.end(), [&](const Step& step) {
    return step.is_for_handlers && step.run(question).outcome == kHandler;
  });
}

// Whether requests for the name would meet a handler. The question comes before any connection, so
// address rules match only a name that is an address.
bool HandlerMayServe(const EffectivePolicy& policy, const Host& name) {
  return policy.instance_catch_all.has_value() || policy.class_catch_all.has_value() ||
         policy.instance_rules.Match(name, nullptr) || policy.class_rules.Match(name, nullptr) ||
         policy.http_intercepts.FirstMatch(name, nullptr) ||
         policy.https_intercepts.FirstMatch(name, nullptr);
}

// Why a name may not even be resolved, whatever handlers there are.
std::optional<Reason> RefusedByLists(const EffectivePolicy& policy, const Host& name,
                                     bool* is_allowed) {
  if (policy.denied_hosts.has_value() && policy.denied_hosts->Match(name) != nullptr) {
    return Reason::kDeniedHost;
  }
  if (!policy.allowed_hosts.has_value()) return std::nullopt;
  *is_allowed = policy.allowed_hosts->Match(name) != nullptr;
  if (!*is_allowed) return Reason::kNotAllowed;
  return std::nullopt;
}

// The entry of `denied_hosts` for an address, or for one that it carries.
const Pattern* DeniedAddress(const EffectivePolicy& policy, const IpAddress& address) {
  if (!policy.denied_hosts.has_value()) return nullptr;
  const Pattern* entry = policy.denied_hosts->MatchAddress(address);
  for (const IpAddress& embedded : EmbeddedV4(address)) {
    if (entry == nullptr) entry = policy.denied_hosts->MatchAddress(embedded);
  }
  return entry;
}

}  // namespace

bool IsHttpPort(const EffectivePolicy& policy, uint16_t port) {
  return std::find(policy.http_ports.begin(), policy.http_ports.end(), port) !=
         policy.http_ports.end();
}

Verdict DecideRequest(const EffectivePolicy& policy, RequestScheme scheme, const Host& host,
                      const IpAddress& dialled) {
  if (IsCheckHost(host)) return DenyCheckHost();
  const Traffic traffic = scheme == RequestScheme::kHttp ? Traffic::kHttp : Traffic::kHttps;
  const Decided decided = Walk(Question(policy, traffic, host, &dialled));
  const StepResult& result = decided.result;
  if (result.outcome == kHandler) {
    return ToHandler{result.handler, result.rule, decided.would_deny};
  }
  if (result.outcome == kEgress) return Egress{result.rule, decided.would_deny};
  return Deny{result.reason, result.rule};
}

TlsVerdict DecideTls(const EffectivePolicy& policy, const Host& name, const IpAddress& dialled) {
  const bool may_decrypt =
      policy.intercept_https && policy.tls_passthrough_hosts.Match(name) == nullptr;
  if (may_decrypt && (IsCheckHost(name) || SomethingToDecideInside(policy, name, dialled)))
    return Decrypt{};
  const TcpVerdict verdict = DecideWithoutHandlers(policy, name, dialled);
  if (const Relay* relay = std::get_if<Relay>(&verdict)) return *relay;
  return std::get<Deny>(verdict);
}

TcpVerdict DecideWithoutHandlers(const EffectivePolicy& policy, const Host& host,
                                 const IpAddress& dialled) {
  if (IsCheckHost(host)) return DenyCheckHost();
  return RelayOrDeny(Question(policy, Traffic::kTlsName, host, &dialled));
}

TcpVerdict DecideTcp(const EffectivePolicy& policy, const IpAddress& dialled,
                     const Host* dns_name) {
  const Host address = Host::FromAddress(dialled);
  return RelayOrDeny(Question(policy, Traffic::kTcp, address, &dialled, dns_name));
}

DnsVerdict DecideDns(const EffectivePolicy& policy, const Host& name) {
  using enum DnsVerdict::Action;
  if (IsCheckHost(name)) return {kPlaceholder};
  bool is_allowed = false;
  std::optional<Reason> refused = RefusedByLists(policy, name, &is_allowed);
  const bool is_handled = HandlerMayServe(policy, name);
  if (!refused.has_value() && !policy.enable_internet && !is_allowed && !is_handled) {
    refused = Reason::kNoInternet;
  }
  const DnsVerdict::Action resolve = is_handled ? kResolveOrPlaceholder : kResolve;
  // In monitor mode the world is open, so names have their real addresses.
  if (policy.monitor) return {resolve, std::nullopt, refused};
  if (refused.has_value()) return {kNxdomain, refused};
  return {policy.enable_internet ? resolve : kPlaceholder};
}

AddressVerdict CheckDialledAddress(const EffectivePolicy& policy, const IpAddress& address,
                                   const OpenRanges& open_ranges) {
  const Pattern* denied = DeniedAddress(policy, address);
  if (denied != nullptr && !policy.monitor) {
    return Deny{Reason::kDeniedHost,
                {policy.denied_hosts->OwnerOf(denied), "denied_hosts", denied, "", address}};
  }
  const bool is_opened = IsPrivateAddress(address) && policy.allowed_hosts.has_value() &&
                         policy.allowed_hosts->MatchAddress(address) != nullptr;
  if (IsForbiddenAddress(address, open_ranges) && !is_opened) {
    return Deny{Reason::kForbiddenAddress, {"", "platform", nullptr, "", address}};
  }
  if (denied != nullptr) return MayDial{Reason::kDeniedHost};
  return MayDial{};
}

AddressVerdict CheckForwardHost(const EffectivePolicy& policy, const Host& host) {
  const Pattern* denied =
      policy.denied_hosts.has_value() ? policy.denied_hosts->Match(host) : nullptr;
  if (denied == nullptr) return MayDial{};
  if (policy.monitor) return MayDial{Reason::kDeniedHost};
  return Deny{Reason::kDeniedHost,
              {policy.denied_hosts->OwnerOf(denied), "denied_hosts", denied, "", {}}};
}

}  // namespace sallyport
