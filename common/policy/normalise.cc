#include "absl/container/flat_hash_set.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/policy/effective_policy.h"
#include "common/policy/validate.h"

namespace sallyport {
namespace {

using google::protobuf::RepeatedPtrField;

// Patterns to canonical text; the first of equal ones stays.
absl::Status NormalisePatterns(std::string_view path, RepeatedPtrField<std::string>* patterns) {
  absl::flat_hash_set<std::string> seen;
  EntryLimit limit(path);
  int kept = 0;
  for (int i = 0; i < patterns->size(); ++i) {
    const absl::StatusOr<Pattern> pattern = Pattern::Parse(patterns->Get(i));
    if (!pattern.ok()) return AtField(Element(path, i), pattern.status());
    if (!seen.insert(pattern->text()).second) continue;
    RETURN_IF_ERROR(limit.Add(pattern->text()));
    *patterns->Mutable(kept++) = pattern->text();
  }
  patterns->DeleteSubrange(kept, patterns->size() - kept);
  return absl::OkStatus();
}

absl::Status NormaliseNames(std::string_view path, RepeatedPtrField<std::string>* names) {
  absl::flat_hash_set<std::string> seen;
  EntryLimit limit(path);
  int kept = 0;
  for (int i = 0; i < names->size(); ++i) {
    RETURN_IF_ERROR(ValidateName(Element(path, i), names->Get(i)));
    if (!seen.insert(names->Get(i)).second) continue;
    RETURN_IF_ERROR(limit.Add(names->Get(i)));
    names->SwapElements(kept++, i);
  }
  names->DeleteSubrange(kept, names->size() - kept);
  return absl::OkStatus();
}

absl::Status NormaliseIntercepts(RepeatedPtrField<v1::InterceptRule>* intercepts) {
  absl::flat_hash_set<std::string> seen;
  EntryLimit limit("intercepts");
  for (int i = 0; i < intercepts->size(); ++i) {
    v1::InterceptRule& rule = *intercepts->Mutable(i);
    const std::string element = Element("intercepts", i);
    if (rule.scheme() != v1::InterceptRule::SCHEME_HTTP &&
        rule.scheme() != v1::InterceptRule::SCHEME_HTTPS) {
      return InvalidField(StrCat(element, ".scheme"), "write SCHEME_HTTP or SCHEME_HTTPS");
    }
    const absl::StatusOr<Pattern> target = Pattern::Parse(rule.target());
    if (!target.ok()) return AtField(StrCat(element, ".target"), target.status());
    if (!seen.insert(StrCat(rule.scheme(), target->text())).second) {
      return InvalidField(StrCat(element, ".target"),
                          StrCat(Quote(target->text()), " has a rule of this scheme already"));
    }
    // Every rule counts as a pattern: they are tried one by one.
    RETURN_IF_ERROR(limit.Add("*"));
    RETURN_IF_ERROR(ValidateReference(StrCat(element, ".handler"), rule.handler()));
    rule.set_target(target->text());
  }
  return absl::OkStatus();
}

absl::Status NormaliseOverride(std::string_view path, v1::HostListOverride* list) {
  if (list->has_replace()) {
    if (list->added_size() > 0 || list->removed_size() > 0) {
      return InvalidField(path, "has both `replace` and edits; a replaced list is edited itself");
    }
    return NormalisePatterns(StrCat(path, ".replace"), list->mutable_replace()->mutable_hosts());
  }
  RETURN_IF_ERROR(NormalisePatterns(StrCat(path, ".added"), list->mutable_added()));
  return NormalisePatterns(StrCat(path, ".removed"), list->mutable_removed());
}

absl::Status ValidateDenyResponse(const v1::DenyResponse& response) {
  if (response.status() != 0 && (response.status() < 400 || response.status() > 599)) {
    return InvalidField("deny_response.status", "must be 400 to 599, or 0 for the default");
  }
  if (response.content_type().size() > 255) {
    return InvalidField("deny_response.content_type", "is longer than 255 bytes");
  }
  for (const char c : response.content_type()) {
    if (c < 0x20 || c > 0x7e) {
      return InvalidField("deny_response.content_type",
                          "has a byte that no header has; write a media type, as text/plain");
    }
  }
  if (response.body().size() > kMaxDenyBody) {
    return InvalidField("deny_response.body", "is larger than 64 KiB");
  }
  return absl::OkStatus();
}

absl::Status NormalisePorts(google::protobuf::RepeatedField<uint32_t>* ports) {
  absl::flat_hash_set<uint32_t> seen;
  int kept = 0;
  for (int i = 0; i < ports->size(); ++i) {
    const uint32_t port = ports->Get(i);
    if (port < 1 || port > 65535) {
      return InvalidField(Element("http_ports", i), "must be 1 to 65535");
    }
    if (!seen.insert(port).second) continue;
    if (seen.size() > kMaxHttpPorts) return InvalidField("http_ports", "has more than 64 ports");
    ports->Set(kept++, port);
  }
  ports->Truncate(kept);
  return absl::OkStatus();
}

}  // namespace

absl::Status NormaliseRules(std::string_view path, RepeatedPtrField<v1::HostRule>* rules) {
  absl::flat_hash_set<std::string> seen;
  EntryLimit limit(path);
  for (int i = 0; i < rules->size(); ++i) {
    v1::HostRule& rule = *rules->Mutable(i);
    const std::string element = Element(path, i);
    const absl::StatusOr<Pattern> pattern = Pattern::Parse(rule.host());
    if (!pattern.ok()) return AtField(StrCat(element, ".host"), pattern.status());
    if (!seen.insert(pattern->text()).second) {
      return InvalidField(StrCat(element, ".host"), StrCat(Quote(pattern->text()),
                                                           " has a rule already; write one rule "
                                                           "for each host"));
    }
    RETURN_IF_ERROR(limit.Add(pattern->text()));
    RETURN_IF_ERROR(ValidateReference(StrCat(element, ".handler"), rule.handler()));
    rule.set_host(pattern->text());
  }
  return absl::OkStatus();
}

absl::Status NormaliseClass(v1::ContainerClass* container_class) {
  v1::ContainerClass next = *container_class;
  RETURN_IF_ERROR(ValidateName("name", next.name()));
  if (next.has_allowed_hosts()) {
    RETURN_IF_ERROR(
        NormalisePatterns("allowed_hosts", next.mutable_allowed_hosts()->mutable_hosts()));
  }
  if (next.has_denied_hosts()) {
    RETURN_IF_ERROR(
        NormalisePatterns("denied_hosts", next.mutable_denied_hosts()->mutable_hosts()));
  }
  RETURN_IF_ERROR(NormaliseRules("outbound_by_host", next.mutable_outbound_by_host()));
  if (next.has_outbound()) RETURN_IF_ERROR(ValidateReference("outbound", next.outbound()));
  if (next.has_outbound_handlers()) {
    RETURN_IF_ERROR(
        NormaliseNames("outbound_handlers", next.mutable_outbound_handlers()->mutable_names()));
  }
  RETURN_IF_ERROR(NormalisePatterns("tls_passthrough_hosts", next.mutable_tls_passthrough_hosts()));
  RETURN_IF_ERROR(ValidateDenyResponse(next.deny_response()));
  RETURN_IF_ERROR(NormalisePorts(next.mutable_http_ports()));
  *container_class = std::move(next);
  return absl::OkStatus();
}

absl::Status NormaliseContainer(v1::ContainerPolicy* container) {
  v1::ContainerPolicy next = *container;
  RETURN_IF_ERROR(ValidateContainerId(next.container_id()));
  RETURN_IF_ERROR(ValidateName("class_name", next.class_name()));
  if (next.has_allowed_hosts()) {
    RETURN_IF_ERROR(NormaliseOverride("allowed_hosts", next.mutable_allowed_hosts()));
  }
  if (next.has_denied_hosts()) {
    RETURN_IF_ERROR(NormaliseOverride("denied_hosts", next.mutable_denied_hosts()));
  }
  RETURN_IF_ERROR(NormaliseRules("outbound_by_host", next.mutable_outbound_by_host()));
  if (next.has_outbound()) RETURN_IF_ERROR(ValidateReference("outbound", next.outbound()));
  RETURN_IF_ERROR(NormaliseIntercepts(next.mutable_intercepts()));
  *container = std::move(next);
  return absl::OkStatus();
}

}  // namespace sallyport
