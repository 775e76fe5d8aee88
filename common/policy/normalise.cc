#include "common/policy/normalise.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/policy/effective_policy.h"
#include "common/policy/validate.h"

namespace sallyport {
namespace {

using google::protobuf::RepeatedPtrField;

void NormaliseNames(std::string_view path, RepeatedPtrField<std::string>* names,
                    Problems* problems) {
  if (!CheckCount(path, names->size(), problems)) return;
  absl::flat_hash_set<std::string> seen;
  int kept = 0;
  for (int i = 0; i < names->size(); ++i) {
    problems->Add(ValidateName(Element(path, i), names->Get(i)));
    if (!seen.insert(names->Get(i)).second) continue;
    names->SwapElements(kept++, i);
  }
  names->DeleteSubrange(kept, names->size() - kept);
}

void NormaliseIntercepts(std::string_view path, RepeatedPtrField<v1::InterceptRule>* intercepts,
                         Problems* problems) {
  if (!CheckCount(path, intercepts->size(), problems)) return;
  absl::flat_hash_set<std::string> seen;
  EntryLimit limit(path, problems);
  for (int i = 0; i < intercepts->size(); ++i) {
    v1::InterceptRule& rule = *intercepts->Mutable(i);
    const std::string element = Element(path, i);
    if (rule.scheme() != v1::InterceptRule::SCHEME_HTTP &&
        rule.scheme() != v1::InterceptRule::SCHEME_HTTPS) {
      problems->Add(StrCat(element, ".scheme"), "write SCHEME_HTTP or SCHEME_HTTPS");
    }
    CheckReference(StrCat(element, ".handler"), rule.handler(), problems);
    const std::string target =
        CanonicalPattern(StrCat(element, ".target"), rule.target(), problems);
    if (target.empty()) continue;
    if (!seen.insert(StrCat(rule.scheme(), target)).second) {
      problems->Add(
          StrCat(element, ".target"),
          StrCat(Quote(target), " has a rule of this scheme already; write one rule for each"));
    }
    // Every rule counts as a pattern: they are tried one by one.
    limit.Add("*");
    rule.set_target(target);
  }
}

void NormaliseOverride(std::string_view path, v1::HostListOverride* list, Problems* problems) {
  if (list->has_replace()) {
    if (list->added_size() > 0 || list->removed_size() > 0) {
      problems->Add(path,
                    "has both `replace` and edits; write the whole list in `replace`, or only "
                    "`added` and `removed`");
    }
    NormalisePatterns(StrCat(path, ".replace"), list->mutable_replace()->mutable_hosts(), problems);
  }
  NormalisePatterns(StrCat(path, ".added"), list->mutable_added(), problems);
  NormalisePatterns(StrCat(path, ".removed"), list->mutable_removed(), problems);
}

void CheckDenyResponse(std::string_view path, const v1::DenyResponse& response,
                       Problems* problems) {
  if (response.status() != 0 && (response.status() < 400 || response.status() > 599)) {
    problems->Add(StrCat(path, ".status"), "must be 400 to 599, or 0 for the default");
  }
  const std::string& type = response.content_type();
  if (type.size() > 255) {
    problems->Add(StrCat(path, ".content_type"),
                  "is longer than 255 bytes; write a media type, as text/plain");
  } else if (std::any_of(type.begin(), type.end(), [](char c) { return c < 0x20 || c > 0x7e; })) {
    problems->Add(StrCat(path, ".content_type"),
                  "has a byte that no header has; write a media type, as text/plain");
  }
  if (response.body().size() > kMaxDenyBody) {
    problems->Add(StrCat(path, ".body"), "is larger than 64 KiB; shorten it");
  }
}

void NormalisePorts(std::string_view path, google::protobuf::RepeatedField<uint32_t>* ports,
                    Problems* problems) {
  absl::flat_hash_set<uint32_t> seen;
  int kept = 0;
  for (int i = 0; i < ports->size(); ++i) {
    const uint32_t port = ports->Get(i);
    if (port < 1 || port > 65535) problems->Add(Element(path, i), "must be 1 to 65535");
    if (!seen.insert(port).second) continue;
    if (seen.size() == kMaxHttpPorts + 1) problems->Add(path, "has more than 64 ports; drop some");
    ports->Set(kept++, port);
  }
  ports->Truncate(kept);
}

}  // namespace

void NormalisePatterns(std::string_view path, RepeatedPtrField<std::string>* patterns,
                       Problems* problems) {
  if (!CheckCount(path, patterns->size(), problems)) return;
  absl::flat_hash_set<std::string> seen;
  EntryLimit limit(path, problems);
  int kept = 0;
  for (int i = 0; i < patterns->size(); ++i) {
    const absl::StatusOr<Pattern> pattern = Pattern::Parse(patterns->Get(i));
    if (!pattern.ok()) {
      problems->Add(Element(path, i), ToStd(pattern.status().message()));
      continue;
    }
    if (!seen.insert(pattern->text()).second) continue;
    limit.Add(pattern->text());
    *patterns->Mutable(kept++) = pattern->text();
  }
  patterns->DeleteSubrange(kept, patterns->size() - kept);
}

void NormaliseRules(std::string_view path, RepeatedPtrField<v1::HostRule>* rules,
                    Problems* problems) {
  if (!CheckCount(path, rules->size(), problems)) return;
  absl::flat_hash_set<std::string> seen;
  EntryLimit limit(path, problems);
  for (int i = 0; i < rules->size(); ++i) {
    v1::HostRule& rule = *rules->Mutable(i);
    const std::string element = Element(path, i);
    CheckReference(StrCat(element, ".handler"), rule.handler(), problems);
    const std::string host = CanonicalPattern(StrCat(element, ".host"), rule.host(), problems);
    if (host.empty()) continue;
    if (!seen.insert(host).second) {
      problems->Add(StrCat(element, ".host"),
                    StrCat(Quote(host), " has a rule already; write one rule for each host"));
    }
    limit.Add(host);
    rule.set_host(host);
  }
}

void NormaliseClass(std::string_view path, v1::ContainerClass* value, Problems* problems) {
  const auto member = [path](std::string_view field) { return Member(path, field); };
  problems->Add(ValidateName(member("name"), value->name()));
  if (value->has_allowed_hosts()) {
    NormalisePatterns(member("allowed_hosts"), value->mutable_allowed_hosts()->mutable_hosts(),
                      problems);
  }
  if (value->has_denied_hosts()) {
    NormalisePatterns(member("denied_hosts"), value->mutable_denied_hosts()->mutable_hosts(),
                      problems);
  }
  NormaliseRules(member("outbound_by_host"), value->mutable_outbound_by_host(), problems);
  if (value->has_outbound()) CheckReference(member("outbound"), value->outbound(), problems);
  if (value->has_outbound_handlers()) {
    NormaliseNames(member("outbound_handlers"), value->mutable_outbound_handlers()->mutable_names(),
                   problems);
  }
  NormalisePatterns(member("tls_passthrough_hosts"), value->mutable_tls_passthrough_hosts(),
                    problems);
  CheckDenyResponse(member("deny_response"), value->deny_response(), problems);
  NormalisePorts(member("http_ports"), value->mutable_http_ports(), problems);
  if (value->ByteSizeLong() > kMaxResourceBytes) {
    problems->Add(member("name"), "the class is larger than 8 MiB; shorten its lists");
  }
}

void NormaliseContainer(std::string_view path, v1::ContainerPolicy* value, Problems* problems) {
  const auto member = [path](std::string_view field) { return Member(path, field); };
  problems->Add(ValidateName(member("class_name"), value->class_name()));
  const absl::Status valid_id = ValidateContainerId(value->container_id());
  for (const FieldProblem& problem : ProblemsOf(ToStd(valid_id.message()))) {
    problems->Add(member(problem.path), problem.message);
  }
  if (value->has_allowed_hosts()) {
    NormaliseOverride(member("allowed_hosts"), value->mutable_allowed_hosts(), problems);
  }
  if (value->has_denied_hosts()) {
    NormaliseOverride(member("denied_hosts"), value->mutable_denied_hosts(), problems);
  }
  NormaliseRules(member("outbound_by_host"), value->mutable_outbound_by_host(), problems);
  if (value->has_outbound()) CheckReference(member("outbound"), value->outbound(), problems);
  NormaliseIntercepts(member("intercepts"), value->mutable_intercepts(), problems);
  if (value->ByteSizeLong() > kMaxResourceBytes) {
    problems->Add(member("container_id"),
                  "the container's rules are larger than 8 MiB; shorten its lists");
  }
}

absl::Status NormaliseClass(v1::ContainerClass* container_class) {
  v1::ContainerClass next = *container_class;
  Problems problems;
  NormaliseClass("", &next, &problems);
  if (problems.empty()) *container_class = std::move(next);
  return problems.ToStatus();
}

absl::Status NormaliseContainer(v1::ContainerPolicy* container) {
  v1::ContainerPolicy next = *container;
  Problems problems;
  NormaliseContainer("", &next, &problems);
  if (problems.empty()) *container = std::move(next);
  return problems.ToStatus();
}

}  // namespace sallyport
