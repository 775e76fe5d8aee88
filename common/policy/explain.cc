#include "common/policy/explain.h"

namespace sallyport {
namespace {

using enum StepResult::Outcome;

constexpr int kAddressStep = 10;

Traffic TrafficOf(const EffectivePolicy& policy, const ExplainQuery& query,
                  const IpAddress& dialled) {
  if (!IsHttpPort(policy, query.port)) return Traffic::kTcp;
  if (query.scheme == ExplainQuery::Scheme::kHttp) return Traffic::kHttp;
  const TlsVerdict verdict = DecideTls(policy, query.host, dialled);
  return std::holds_alternative<Decrypt>(verdict) ? Traffic::kHttps : Traffic::kTlsName;
}

IpAddress DialledBy(const EffectivePolicy& policy, const ExplainQuery& query) {
  if (query.dialled.has_value()) return *query.dialled;
  if (query.host.is_address()) return query.host.address();
  // Raw bytes go where the agent's DNS said that the name is.
  const bool is_raw = !IsHttpPort(policy, query.port) && !query.resolved.empty();
  return is_raw ? query.resolved.front() : IpAddress();
}

// What egress would dial; empty: not known.
std::vector<IpAddress> AddressesOf(const ExplainQuery& query, Traffic traffic) {
  if (traffic == Traffic::kTcp && query.dialled.has_value()) return {*query.dialled};
  if (query.host.is_address()) return {query.host.address()};
  return query.resolved;
}

// As dial.cc takes them: the first that may be dialled; none: the denial of the first.
AddressVerdict CheckAddresses(const EffectivePolicy& policy,
                              const std::vector<IpAddress>& addresses,
                              const OpenRanges& open_ranges) {
  std::optional<AddressVerdict> first;
  for (const IpAddress& address : addresses) {
    const AddressVerdict verdict = CheckDialledAddress(policy, address, open_ranges);
    if (std::holds_alternative<MayDial>(verdict)) return verdict;
    if (!first.has_value()) first = verdict;
  }
  return first.value_or(MayDial{});
}

// Runs every step, marks the one that decides, and takes over what it says.
void RunSteps(const Question& question, Explanation* explanation) {
  bool is_decided = false;
  for (const Step& step : DecisionSteps()) {
    ExplainedStep explained{step.number, step.name, step.run(question)};
    const StepResult& result = explained.result;
    if (!is_decided && IsAsked(step, question.traffic) && result.outcome != kPasses) {
      if (result.outcome == kDenies && question.policy.monitor) {
        if (!explanation->would_deny.has_value()) explanation->would_deny = result.reason;
      } else {
        explained.decides = is_decided = true;
      }
    }
    explanation->steps.push_back(explained);
  }
}

void Conclude(const StepResult& result, Traffic traffic, Explanation* explanation) {
  const bool is_read = traffic == Traffic::kHttp || traffic == Traffic::kHttps;
  explanation->rule = result.rule;
  explanation->reason = result.outcome == kDenies ? ReasonName(result.reason) : "";
  explanation->handler = result.handler;
  explanation->decision = result.outcome == kDenies    ? "deny"
                          : result.outcome == kHandler ? "handler"
                          : is_read                    ? "egress"
                                                       : "relay";
}

}  // namespace

Explanation ExplainRequest(const EffectivePolicy& policy, const ExplainQuery& query,
                           const OpenRanges& open_ranges) {
  const IpAddress dialled = DialledBy(policy, query);
  const Traffic traffic = TrafficOf(policy, query, dialled);
  const bool is_tcp = traffic == Traffic::kTcp;
  const Host host = is_tcp ? Host::FromAddress(dialled) : query.host;
  const Host* dns_name = is_tcp && !query.host.is_address() ? &query.host : nullptr;

  Explanation explanation;
  explanation.decrypted = traffic == Traffic::kHttps;
  RunSteps(Question(policy, traffic, host, &dialled, dns_name), &explanation);
  // No step decides: monitor mode has waived the last one.
  StepResult deciding{kEgress, {"class", "monitor", nullptr, "", {}}};
  for (const ExplainedStep& step : explanation.steps) {
    if (step.decides) deciding = step.result;
  }

  ExplainedStep addresses{kAddressStep, "addresses dialled", {}};
  const AddressVerdict verdict = CheckAddresses(policy, AddressesOf(query, traffic), open_ranges);
  if (const Deny* deny = std::get_if<Deny>(&verdict)) {
    addresses.result = {kDenies, deny->rule, deny->reason};
    if (deciding.outcome == kEgress) {
      for (ExplainedStep& step : explanation.steps) step.decides = false;
      addresses.decides = true;
      deciding = addresses.result;
    }
  } else if (deciding.outcome == kEgress && !explanation.would_deny.has_value()) {
    explanation.would_deny = std::get<MayDial>(verdict).would_deny;
  }
  explanation.steps.push_back(addresses);
  Conclude(deciding, traffic, &explanation);
  if (query.scheme == ExplainQuery::Scheme::kTcp && !is_tcp) {
    for (ExplainedStep& step : explanation.steps) step.decides = false;
    explanation.decision = "reject";
    explanation.reason = "bad_request";
    explanation.rule = {"class", "http_ports", nullptr, "", {}};
    explanation.handler = nullptr;
    explanation.would_deny.reset();
    explanation.decrypted = false;
  }
  return explanation;
}

}  // namespace sallyport
