#include "common/policy/effective_policy.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "common/base/deterministic.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/policy/validate.h"

namespace sallyport {
namespace {

// How many entries of the effective list are the class's; they come first.
size_t CountOfClass(const v1::HostList& effective, const v1::HostListOverride& of_container) {
  if (of_container.has_replace()) return 0;
  const absl::flat_hash_set<std::string> added(of_container.added().begin(),
                                               of_container.added().end());
  size_t count = effective.hosts_size();
  while (count > 0 && added.contains(effective.hosts(static_cast<int>(count) - 1))) --count;
  return count;
}

absl::StatusOr<std::optional<PatternList>> BuildList(std::string_view field_path,
                                                     const v1::HostList* of_class,
                                                     const v1::HostListOverride* of_container) {
  const std::optional<v1::HostList> effective = EffectiveList(of_class, of_container);
  if (!effective.has_value()) return std::optional<PatternList>();
  const size_t class_entries =
      of_container == nullptr ? SIZE_MAX : CountOfClass(*effective, *of_container);
  ASSIGN_OR_RETURN(PatternList list, PatternList::FromProto(*effective, field_path, class_entries));
  return std::optional<PatternList>(std::move(list));
}

DenyResponse DenyResponseFromProto(const v1::DenyResponse& proto) {
  DenyResponse response;
  if (proto.status() != 0) response.status = static_cast<int>(proto.status());
  if (!proto.content_type().empty()) response.content_type = proto.content_type();
  if (proto.has_body()) response.body = proto.body();
  return response;
}

}  // namespace

HandlerReference::HandlerReference(const v1::HandlerReference& reference)
    : handler(reference.handler()),
      params(reference.params()),
      params_bytes(DeterministicBytes(params)) {}

absl::StatusOr<EffectivePolicy> EffectivePolicy::FromProto(
    const v1::ContainerClass& given_class, const v1::ContainerPolicy& given_container,
    uint64_t revision) {
  v1::ContainerClass of_class = given_class;
  RETURN_IF_ERROR(NormaliseClass(&of_class));
  v1::ContainerPolicy container = given_container;
  RETURN_IF_ERROR(NormaliseContainer(&container));
  if (container.class_name() != of_class.name()) {
    return InvalidField(
        "class_name", StrCat("the container is of class ", Quote(container.class_name()), ", not ",
                             Quote(of_class.name())));
  }

  EffectivePolicy policy;
  policy.container_id = container.container_id();
  policy.class_name = of_class.name();
  policy.revision = revision;
  if (of_class.has_enable_internet()) policy.enable_internet = of_class.enable_internet();
  if (container.has_enable_internet()) policy.enable_internet = container.enable_internet();
  policy.intercept_https = of_class.intercept_https();
  ASSIGN_OR_RETURN(
      policy.allowed_hosts,
      BuildList("allowed_hosts", of_class.has_allowed_hosts() ? &of_class.allowed_hosts() : nullptr,
                container.has_allowed_hosts() ? &container.allowed_hosts() : nullptr));
  ASSIGN_OR_RETURN(
      policy.denied_hosts,
      BuildList("denied_hosts", of_class.has_denied_hosts() ? &of_class.denied_hosts() : nullptr,
                container.has_denied_hosts() ? &container.denied_hosts() : nullptr));
  ASSIGN_OR_RETURN(
      policy.http_intercepts,
      RuleTier::FromIntercepts(container.intercepts(), v1::InterceptRule::SCHEME_HTTP));
  ASSIGN_OR_RETURN(
      policy.https_intercepts,
      RuleTier::FromIntercepts(container.intercepts(), v1::InterceptRule::SCHEME_HTTPS));
  ASSIGN_OR_RETURN(policy.instance_rules,
                   RuleTier::FromProto(container.outbound_by_host(), "outbound_by_host"));
  ASSIGN_OR_RETURN(policy.class_rules,
                   RuleTier::FromProto(of_class.outbound_by_host(), "outbound_by_host"));
  if (container.has_outbound()) {
    policy.instance_catch_all.emplace(container.outbound());
  }
  if (of_class.has_outbound()) policy.class_catch_all.emplace(of_class.outbound());
  v1::HostList passthrough;
  *passthrough.mutable_hosts() = of_class.tls_passthrough_hosts();
  ASSIGN_OR_RETURN(policy.tls_passthrough_hosts,
                   PatternList::FromProto(passthrough, "tls_passthrough_hosts"));
  policy.deny_response = DenyResponseFromProto(of_class.deny_response());
  if (of_class.http_ports_size() > 0) {
    policy.http_ports.assign(of_class.http_ports().begin(), of_class.http_ports().end());
  }
  policy.monitor = of_class.monitor();
  return policy;
}

}  // namespace sallyport
