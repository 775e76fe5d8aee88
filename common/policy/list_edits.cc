// The edits of allowed_hosts and denied_hosts.

#include <algorithm>

#include "common/base/status.h"
#include "common/policy/edits.h"
#include "common/policy/effective_policy.h"
#include "common/policy/validate.h"

namespace sallyport {
namespace {

using google::protobuf::RepeatedPtrField;
using Hosts = RepeatedPtrField<std::string>;

absl::StatusOr<std::string> CanonicalHost(std::string_view field, std::string_view host) {
  Problems problems;
  std::string canonical = CanonicalPattern(field, host, &problems);
  if (!problems.empty()) return problems.ToStatus();
  return canonical;
}

bool Contains(const Hosts& hosts, const std::string& host) {
  return std::find(hosts.begin(), hosts.end(), host) != hosts.end();
}

void Erase(const std::string& host, Hosts* hosts) {
  hosts->erase(std::remove(hosts->begin(), hosts->end(), host), hosts->end());
}

absl::Status CheckLimit(const Hosts& hosts) {
  Problems problems;
  EntryLimit limit("host", &problems);
  for (const std::string& host : hosts) limit.Add(host);
  return problems.ToStatus();
}

// The edit is kept even if the class lists the host too: who asked for it does not expect a change
// of the class to undo it.
absl::StatusOr<v1::HostListOverride> WithHost(v1::HostListOverride list, const std::string& host) {
  Erase(host, list.mutable_removed());
  Hosts* hosts =
      list.has_replace() ? list.mutable_replace()->mutable_hosts() : list.mutable_added();
  if (Contains(*hosts, host)) return list;
  *hosts->Add() = host;
  RETURN_IF_ERROR(CheckLimit(*hosts));
  return list;
}

// REQUIRES: the host is on the effective list.
absl::StatusOr<v1::HostListOverride> WithoutHost(const v1::HostList* of_class,
                                                 v1::HostListOverride list,
                                                 const std::string& host) {
  if (list.has_replace()) {
    Erase(host, list.mutable_replace()->mutable_hosts());
    return list;
  }
  Erase(host, list.mutable_added());
  const bool class_has_it = of_class != nullptr && Contains(of_class->hosts(), host);
  // Without an edit there would be no list any more, and everything would be allowed.
  const bool was_last_edit = of_class == nullptr && list.added().empty() && list.removed().empty();
  if (class_has_it || was_last_edit) {
    list.add_removed(host);
    RETURN_IF_ERROR(CheckLimit(list.removed()));
  }
  return list;
}

absl::StatusOr<v1::HostListOverride> Replaced(const v1::HostsRequest& request) {
  v1::HostListOverride list;
  Hosts* hosts = list.mutable_replace()->mutable_hosts();
  *hosts = request.hosts();
  Problems problems;
  NormalisePatterns("hosts", hosts, &problems);
  if (!problems.empty()) return problems.ToStatus();
  return list;
}

const v1::HostList* AllowedOf(const v1::ContainerClass& c) {
  return c.has_allowed_hosts() ? &c.allowed_hosts() : nullptr;
}

const v1::HostList* DeniedOf(const v1::ContainerClass& c) {
  return c.has_denied_hosts() ? &c.denied_hosts() : nullptr;
}

bool IsEffective(const v1::HostList* of_class, const v1::HostListOverride& of_container,
                 const std::string& host) {
  const std::optional<v1::HostList> list = EffectiveList(of_class, &of_container);
  return list.has_value() && Contains(list->hosts(), host);
}

}  // namespace

absl::Status ApplySetAllowedHosts(const PolicyContext&, const v1::HostsRequest& request,
                                  v1::ContainerPolicy* policy) {
  ASSIGN_OR_RETURN(*policy->mutable_allowed_hosts(), Replaced(request));
  return absl::OkStatus();
}

absl::Status ApplySetDeniedHosts(const PolicyContext&, const v1::HostsRequest& request,
                                 v1::ContainerPolicy* policy) {
  ASSIGN_OR_RETURN(*policy->mutable_denied_hosts(), Replaced(request));
  return absl::OkStatus();
}

absl::Status ApplyClearAllowedHosts(const PolicyContext&, const v1::ContainerRequest&,
                                    v1::ContainerPolicy* policy) {
  policy->clear_allowed_hosts();
  return absl::OkStatus();
}

absl::Status ApplyClearDeniedHosts(const PolicyContext&, const v1::ContainerRequest&,
                                   v1::ContainerPolicy* policy) {
  policy->clear_denied_hosts();
  return absl::OkStatus();
}

absl::Status ApplyAllowHost(const PolicyContext&, const v1::HostRequest& request,
                            v1::ContainerPolicy* policy) {
  ASSIGN_OR_RETURN(const std::string host, CanonicalHost("host", request.host()));
  ASSIGN_OR_RETURN(*policy->mutable_allowed_hosts(), WithHost(policy->allowed_hosts(), host));
  return absl::OkStatus();
}

absl::Status ApplyDenyHost(const PolicyContext&, const v1::HostRequest& request,
                           v1::ContainerPolicy* policy) {
  ASSIGN_OR_RETURN(const std::string host, CanonicalHost("host", request.host()));
  ASSIGN_OR_RETURN(*policy->mutable_denied_hosts(), WithHost(policy->denied_hosts(), host));
  return absl::OkStatus();
}

absl::Status ApplyRemoveAllowedHost(const PolicyContext& context, const v1::HostRequest& request,
                                    v1::ContainerPolicy* policy) {
  ASSIGN_OR_RETURN(const std::string host, CanonicalHost("host", request.host()));
  const v1::HostList* of_class = AllowedOf(context.container_class);
  if (!IsEffective(of_class, policy->allowed_hosts(), host)) return absl::OkStatus();
  ASSIGN_OR_RETURN(*policy->mutable_allowed_hosts(),
                   WithoutHost(of_class, policy->allowed_hosts(), host));
  return absl::OkStatus();
}

absl::Status ApplyRemoveDeniedHost(const PolicyContext& context, const v1::HostRequest& request,
                                   v1::ContainerPolicy* policy) {
  ASSIGN_OR_RETURN(const std::string host, CanonicalHost("host", request.host()));
  const v1::HostList* of_class = DeniedOf(context.container_class);
  if (!IsEffective(of_class, policy->denied_hosts(), host)) return absl::OkStatus();
  ASSIGN_OR_RETURN(*policy->mutable_denied_hosts(),
                   WithoutHost(of_class, policy->denied_hosts(), host));
  return absl::OkStatus();
}

}  // namespace sallyport
