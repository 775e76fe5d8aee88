// The edits of handler rules, catch-alls, low-level rules and `enable_internet`.

#include <algorithm>

#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/policy/edits.h"
#include "common/policy/effective_policy.h"
#include "common/policy/pattern.h"
#include "common/policy/validate.h"

namespace sallyport {
namespace {

using google::protobuf::RepeatedPtrField;
using Scheme = v1::InterceptRule::Scheme;

absl::StatusOr<std::string> Canonical(std::string_view field, std::string_view host) {
  const absl::StatusOr<Pattern> pattern = Pattern::Parse(host);
  if (!pattern.ok()) return AtField(field, pattern.status());
  return pattern->text();
}

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

// The fields `handler` and `params` of a request as a reference.
template <typename Request>
absl::StatusOr<v1::HandlerReference> ReferenceIn(const PolicyContext& context,
                                                 const Request& request) {
  RETURN_IF_ERROR(ValidateName("handler", request.handler()));
  RETURN_IF_ERROR(ValidateParams("params", request.params()));
  RETURN_IF_ERROR(CheckMayUse(context, request.handler()));
  v1::HandlerReference reference;
  reference.set_handler(request.handler());
  if (request.has_params()) *reference.mutable_params() = request.params();
  return reference;
}

absl::Status CheckLimit(std::string_view field, const RepeatedPtrField<v1::HostRule>& rules,
                        const std::string& next) {
  EntryLimit limit(field);
  for (const v1::HostRule& rule : rules) RETURN_IF_ERROR(limit.Add(rule.host()));
  return limit.Add(next);
}

absl::Status SetIntercept(const PolicyContext& context, Scheme scheme,
                          const v1::InterceptRequest& request, std::string_view given_target,
                          v1::ContainerPolicy* policy) {
  ASSIGN_OR_RETURN(const std::string target, Canonical("target", given_target));
  ASSIGN_OR_RETURN(v1::HandlerReference reference, ReferenceIn(context, request));
  for (v1::InterceptRule& rule : *policy->mutable_intercepts()) {
    if (rule.scheme() != scheme || rule.target() != target) continue;
    *rule.mutable_handler() = std::move(reference);
    return absl::OkStatus();
  }
  if (policy->intercepts_size() >= kMaxPatterns) {
    return InvalidField("target",
                        StrCat("the container has ", kMaxPatterns, " such rules already"));
  }
  v1::InterceptRule& rule = *policy->add_intercepts();
  rule.set_scheme(scheme);
  rule.set_target(target);
  *rule.mutable_handler() = std::move(reference);
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

absl::Status ApplySetOutboundByHost(const PolicyContext& context,
                                    const v1::SetOutboundByHostRequest& request,
                                    v1::ContainerPolicy* policy) {
  ASSIGN_OR_RETURN(const std::string host, Canonical("host", request.host()));
  ASSIGN_OR_RETURN(v1::HandlerReference reference, ReferenceIn(context, request));
  for (v1::HostRule& rule : *policy->mutable_outbound_by_host()) {
    if (rule.host() != host) continue;
    *rule.mutable_handler() = std::move(reference);
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(CheckLimit("host", policy->outbound_by_host(), host));
  v1::HostRule& rule = *policy->add_outbound_by_host();
  rule.set_host(host);
  *rule.mutable_handler() = std::move(reference);
  return absl::OkStatus();
}

absl::Status ApplySetOutboundByHosts(const PolicyContext& context,
                                     const v1::SetOutboundByHostsRequest& request,
                                     v1::ContainerPolicy* policy) {
  RepeatedPtrField<v1::HostRule> rules = request.rules();
  RETURN_IF_ERROR(NormaliseRules("rules", &rules));
  for (int i = 0; i < rules.size(); ++i) {
    RETURN_IF_ERROR(AtField(StrCat(Element("rules", i), ".handler"),
                            CheckMayUse(context, rules[i].handler().handler())));
  }
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
  ASSIGN_OR_RETURN(*policy->mutable_outbound(), ReferenceIn(context, request));
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
    return InvalidField("target", "must be empty; InterceptOutboundHttp takes a target");
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
