#include "common/policy/steps.h"

namespace sallyport {
namespace {

using enum StepResult::Outcome;

const Pattern* AllowedBy(const EffectivePolicy& policy, const Host& host, const Host* dns_name) {
  if (!policy.allowed_hosts.has_value()) return nullptr;
  const Pattern* entry = policy.allowed_hosts->Match(host);
  if (entry == nullptr && dns_name != nullptr) entry = policy.allowed_hosts->Match(*dns_name);
  return entry;
}

Rule AllowedRule(const Question& question) {
  const PatternList& list = *question.policy.allowed_hosts;
  return {list.OwnerOf(question.allowed), "allowed_hosts", question.allowed, "", {}};
}

StepResult ToHandlerOf(const HandlerRule& rule, std::string_view owner, std::string_view field) {
  if (!rule) return {};
  return {kHandler, {owner, field, rule.pattern, "", {}}, Reason::kNoPolicy, rule.reference};
}

StepResult ToCatchAll(const std::optional<HandlerReference>& catch_all, std::string_view owner) {
  if (!catch_all.has_value()) return {};
  return {kHandler, {owner, "outbound", nullptr, "", {}}, Reason::kNoPolicy, &*catch_all};
}

// The host as it was asked for, then the address that the container dialled, then the name that the
// address was given out for.
StepResult DeniedHosts(const Question& question) {
  if (!question.policy.denied_hosts.has_value()) return {};
  const PatternList& list = *question.policy.denied_hosts;
  std::string_view note;
  const Pattern* entry = list.Match(question.host);
  if (entry == nullptr && question.dialled != nullptr) {
    entry = list.MatchAddress(*question.dialled);
    note = "(address dialled)";
  }
  if (entry == nullptr && question.dns_name != nullptr) {
    entry = list.Match(*question.dns_name);
    note = "";
  }
  if (entry == nullptr) return {};
  return {kDenies, {list.OwnerOf(entry), "denied_hosts", entry, note, {}}, Reason::kDeniedHost};
}

// The dialled address does not count: it says nothing about where a named request goes.
StepResult AllowedHosts(const Question& question) {
  if (!question.policy.allowed_hosts.has_value()) return {};
  if (question.allowed != nullptr) return {kPasses, AllowedRule(question)};
  return {kDenies, {"", "allowed_hosts", nullptr, "", {}}, Reason::kNotAllowed};
}

StepResult Intercepts(const Question& question) {
  const bool https = question.traffic != Traffic::kHttp;
  const RuleTier& rules =
      https ? question.policy.https_intercepts : question.policy.http_intercepts;
  return ToHandlerOf(rules.FirstMatch(question.host, question.dialled), "intercept",
                     https ? "https" : "http");
}

StepResult InstanceRules(const Question& question) {
  return ToHandlerOf(question.policy.instance_rules.Match(question.host, question.dialled),
                     "instance", "outbound_by_host");
}

StepResult ClassRules(const Question& question) {
  return ToHandlerOf(question.policy.class_rules.Match(question.host, question.dialled), "class",
                     "outbound_by_host");
}

StepResult InstanceCatchAll(const Question& question) {
  return ToCatchAll(question.policy.instance_catch_all, "instance");
}

StepResult ClassCatchAll(const Question& question) {
  return ToCatchAll(question.policy.class_catch_all, "class");
}

// Unlike HTTP and TLS: an allow list alone does not permit bytes that nobody can read.
StepResult AllowedHostsPermit(const Question& question) {
  if (question.allowed == nullptr) return {};
  if (question.traffic == Traffic::kTcp && !question.policy.enable_internet) return {};
  return {kEgress, AllowedRule(question)};
}

StepResult InternetPermits(const Question& question) {
  if (!question.policy.enable_internet) return {};
  return {kEgress, {"", "enable_internet", nullptr, "", {}}};
}

StepResult NothingPermits(const Question&) {
  return {kDenies, {"", "enable_internet", nullptr, "", {}}, Reason::kNoInternet};
}

constexpr Step kSteps[] = {
    {1, "denied_hosts", false, DeniedHosts},
    {2, "allowed_hosts", false, AllowedHosts},
    {0, "intercepts", true, Intercepts},
    {3, "instance outbound_by_host", true, InstanceRules},
    {4, "class outbound_by_host", true, ClassRules},
    {5, "instance outbound", true, InstanceCatchAll},
    {6, "class outbound", true, ClassCatchAll},
    {7, "allowed_hosts permits", false, AllowedHostsPermit},
    {8, "enable_internet", false, InternetPermits},
    {9, "default", false, NothingPermits},
};

}  // namespace

Question::Question(const EffectivePolicy& policy, Traffic traffic, const Host& host,
                   const IpAddress* dialled, const Host* dns_name)
    : policy(policy),
      traffic(traffic),
      host(host),
      dialled(dialled),
      dns_name(dns_name),
      allowed(AllowedBy(policy, host, dns_name)) {}

std::span<const Step> DecisionSteps() { return kSteps; }

std::string_view ReasonName(Reason reason) {
  switch (reason) {
    case Reason::kDeniedHost:
      return "denied_host";
    case Reason::kNotAllowed:
      return "not_allowed";
    case Reason::kNoInternet:
      return "no_internet";
    case Reason::kForbiddenAddress:
      return "forbidden_address";
    case Reason::kNoPolicy:
      return "no_policy";
  }
  return "no_policy";
}

}  // namespace sallyport
