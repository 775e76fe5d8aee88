// The edits of handler rules, catch-alls, low-level rules and `enable_internet`.

#include <algorithm>

#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/policy/edits.h"
#include "common/policy/effective_policy.h"
#include "common/policy/validate.h"

namespace sallyport {
namespace {

using google::protobuf::RepeatedPtrField;
using Scheme = v1::InterceptRule::Scheme;

absl::StatusOr<std::string> Canonical(std::string_view field, std::string_view host) {
  Problems problems;
  std::string canonical = CanonicalPattern(field, host, &problems);
  if (!problems.empty()) return problems.ToStatus();
  return canonical;
}

// One rule as a request gives it, checked.
struct GivenRule {
  std::string host;
  v1::HandlerReference reference;
};

// The fields `handler` and `params` of a request are the reference.
template <typename Request>
absl::StatusOr<GivenRule> RuleIn(const PolicyContext& context, std::string_view host_field,
                                 std::string_view host, const Request& request) {
  GivenRule rule;
  rule.reference.set_handler(request.handler());
  if (request.has_params()) *rule.reference.mutable_params() = request.params();
  Problems problems;
  rule.host = CanonicalPattern(host_field, host, &problems);
  CheckReference("", rule.reference, &problems);
  if (!problems.empty()) return problems.ToStatus();
  RETURN_IF_ERROR(CheckMayUse(context, request.handler()));
  return rule;
}

absl::Status CheckLimit(std::string_view field, const RepeatedPtrField<v1::HostRule>& rules,
                        const std::string& next) {
  Problems problems;
  EntryLimit limit(field, &problems);
  for (const v1::HostRule& rule : rules) limit.Add(rule.host());
  limit.Add(next);
  return problems.ToStatus();
}

absl::Status SetIntercept(const PolicyContext& context, Scheme scheme,
                          const v1::InterceptRequest& request, std::string_view given_target,
                          v1::ContainerPolicy* policy) {
  ASSIGN_OR_RETURN(GivenRule given, RuleIn(context, "target", given_target, request));
  for (v1::InterceptRule& rule : *policy->mutable_intercepts()) {
    if (rule.scheme() != scheme || rule.target() != given.host) continue;
    *rule.mutable_handler() = std::move(given.reference);
    return absl::OkStatus();
  }
  if (policy->intercepts_size() >= kMaxPatterns) {
    return InvalidField("target", StrCat("the container has ", kMaxPatterns,
                                         " such rules already; remove one first"));
  }
  v1::InterceptRule& rule = *policy->add_intercepts();
  rule.set_scheme(scheme);
  rule.set_target(std::move(given.host));
  *rule.mutable_handler() = std::move(given.reference);
  return absl::OkStatus();
}

absl::Status RemoveIntercept(Scheme scheme, std::string_view given_target,
                             v1::ContainerPolicy* policy) {
  ASSIGN_OR_RETURN(const std::string target, Canonical("host", given_target));
  auto* rules = policy->mutable_intercepts();
  rules->erase(std::remove_if(rules->begin(), rules->end(),
                              [&](const v1::InterceptRule& rule) {
                                return rule.scheme() == scheme && rule.target() == target;
                              }),
               rules->end());
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckMayUse(const PolicyContext& context, const std::string& handler) {
  if (!context.handlers.contains(handler)) {
    return absl::NotFoundError(
        StrCat("handler ", Quote(handler), " is not registered; register it first"));
  }
  const v1::ContainerClass& of_class = context.container_class;
  if (!of_class.has_outbound_handlers()) return absl::OkStatus();
  const auto& names = of_class.outbound_handlers().names();
  if (std::find(names.begin(), names.end(), handler) != names.end()) return absl::OkStatus();
  return absl::NotFoundError(
      StrCat("handler ", Quote(handler), " is not among the outbound_handlers of class ",
             Quote(of_class.name()),
             ", which are: ", names.empty() ? "none" : absl::StrJoin(names, ", ")));
}

absl::Status ApplySetOutboundByHost(const PolicyContext& context,
                                    const v1::SetOutboundByHostRequest& request,
                                    v1::ContainerPolicy* policy) {
  ASSIGN_OR_RETURN(GivenRule given, RuleIn(context, "host", request.host(), request));
  for (v1::HostRule& rule : *policy->mutable_outbound_by_host()) {
    if (rule.host() != given.host) continue;
    *rule.mutable_handler() = std::move(given.reference);
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(CheckLimit("host", policy->outbound_by_host(), given.host));
  v1::HostRule& rule = *policy->add_outbound_by_host();
  rule.set_host(std::move(given.host));
  *rule.mutable_handler() = std::move(given.reference);
  return absl::OkStatus();
}

absl::Status ApplySetOutboundByHosts(const PolicyContext& context,
                                     const v1::SetOutboundByHostsRequest& request,
                                     v1::ContainerPolicy* policy) {
  RepeatedPtrField<v1::HostRule> rules = request.rules();
  Problems problems;
  NormaliseRules("rules", &rules, &problems);
  if (!problems.empty()) return problems.ToStatus();
  for (int i = 0; i < rules.size(); ++i) {
    problems.Add(AtField(StrCat(Element("rules", i), ".handler"),
                         CheckMayUse(context, rules[i].handler().handler())));
  }
  if (!problems.empty()) return problems.ToStatus(absl::StatusCode::kNotFound);
  *policy->mutable_outbound_by_host() = std::move(rules);
  return absl::OkStatus();
}

absl::Status ApplyRemoveOutboundByHost(const PolicyContext&,
                                       const v1::RemoveOutboundByHostRequest& request,
                                       v1::ContainerPolicy* policy) {
  ASSIGN_OR_RETURN(const std::string host, Canonical("host", request.host()));
  auto* rules = policy->mutable_outbound_by_host();
  rules->erase(std::remove_if(rules->begin(), rules->end(),
                              [&](const v1::HostRule& rule) { return rule.host() == host; }),
               rules->end());
  return absl::OkStatus();
}

absl::Status ApplySetOutboundHandler(const PolicyContext& context,
                                     const v1::SetOutboundHandlerRequest& request,
                                     v1::ContainerPolicy* policy) {
  ASSIGN_OR_RETURN(GivenRule given, RuleIn(context, "handler", "*", request));
  *policy->mutable_outbound() = std::move(given.reference);
  return absl::OkStatus();
}

absl::Status ApplyClearOutboundHandler(const PolicyContext&, const v1::ContainerRequest&,
                                       v1::ContainerPolicy* policy) {
  policy->clear_outbound();
  return absl::OkStatus();
}

absl::Status ApplySetEnableInternet(const PolicyContext&,
                                    const v1::SetEnableInternetRequest& request,
                                    v1::ContainerPolicy* policy) {
  if (request.has_enable_internet()) {
    policy->set_enable_internet(request.enable_internet());
  } else {
    policy->clear_enable_internet();
  }
  return absl::OkStatus();
}

absl::Status ApplyInterceptOutboundHttp(const PolicyContext& context,
                                        const v1::InterceptRequest& request,
                                        v1::ContainerPolicy* policy) {
  return SetIntercept(context, v1::InterceptRule::SCHEME_HTTP, request, request.target(), policy);
}

absl::Status ApplyInterceptOutboundHttps(const PolicyContext& context,
                                         const v1::InterceptRequest& request,
                                         v1::ContainerPolicy* policy) {
  return SetIntercept(context, v1::InterceptRule::SCHEME_HTTPS, request, request.target(), policy);
}

absl::Status ApplyInterceptAllOutboundHttp(const PolicyContext& context,
                                           const v1::InterceptRequest& request,
                                           v1::ContainerPolicy* policy) {
  if (!request.target().empty()) {
    Problems problems;
    problems.Add("target", "must be empty; InterceptOutboundHttp takes a target");
    const absl::StatusOr<GivenRule> rest = RuleIn(context, "target", "*", request);
    if (absl::IsInvalidArgument(rest.status())) problems.Add(rest.status());
    return problems.ToStatus();
  }
  return SetIntercept(context, v1::InterceptRule::SCHEME_HTTP, request, "*", policy);
}

absl::Status ApplyRemoveInterceptOutboundHttp(const PolicyContext&, const v1::HostRequest& request,
                                              v1::ContainerPolicy* policy) {
  return RemoveIntercept(v1::InterceptRule::SCHEME_HTTP, request.host(), policy);
}

absl::Status ApplyRemoveInterceptOutboundHttps(const PolicyContext&, const v1::HostRequest& request,
                                               v1::ContainerPolicy* policy) {
  return RemoveIntercept(v1::InterceptRule::SCHEME_HTTPS, request.host(), policy);
}

absl::Status ApplyRemoveInterceptAllOutboundHttp(const PolicyContext&, const v1::ContainerRequest&,
                                                 v1::ContainerPolicy* policy) {
  return RemoveIntercept(v1::InterceptRule::SCHEME_HTTP, "*", policy);
}

}  // namespace sallyport
