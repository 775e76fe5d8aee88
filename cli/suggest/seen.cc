#include "cli/suggest/seen.h"

#include <algorithm>
#include <iterator>

#include "common/policy/pattern.h"

namespace sallyport::cli {
namespace {

enum class Fate {
  kPassed,        // Or would pass, but for a list that is only monitored.
  kNotPermitted,  // No list and no `enable_internet` permitted it.
  kDeniedHost,
  kNothingToLearn,
};

Fate FateOf(const v1::AuditRecord& record) {
  if (record.would_deny() == "denied_host") return Fate::kDeniedHost;
  // What an origin or a handler failed at had been permitted.
  const std::string& decision = record.decision();
  if (decision == "egress" || decision == "handler" || decision == "relay" || decision == "error")
    return Fate::kPassed;
  // Monitored DNS queries are permitted, whatever the record calls it.
  if (!record.would_deny().empty()) return Fate::kPassed;
  if (decision != "deny") return Fate::kNothingToLearn;
  if (record.reason() == "denied_host") return Fate::kDeniedHost;
  const bool for_want = record.reason() == "not_allowed" || record.reason() == "no_internet";
  return for_want ? Fate::kNotPermitted : Fate::kNothingToLearn;
}

// As lists hold it; empty: nothing that a list could hold.
std::string HostOf(const v1::AuditRecord& record) {
  const auto pattern = Pattern::Parse(record.host().empty() ? record.dialled() : record.host());
  const bool is_host = pattern.ok() && (pattern->kind() == Pattern::Kind::kExactName ||
                                        pattern->kind() == Pattern::Kind::kAddress);
  return is_host ? pattern->text() : "";
}

std::set<std::string> Without(const std::set<std::string>& all,
                              const std::set<std::string>& not_these) {
  std::set<std::string> rest;
  std::set_difference(all.begin(), all.end(), not_these.begin(), not_these.end(),
                      std::inserter(rest, rest.end()));
  return rest;
}

}  // namespace

void SeenHosts::Add(const v1::AuditRecord& record) {
  if (record.class_name() != options_.class_name) return;
  if (!options_.container_id.empty() && record.container_id() != options_.container_id) return;
  ++records_;
  const std::string host = HostOf(record);
  if (host.empty()) return;
  switch (FateOf(record)) {
    case Fate::kPassed:
      hosts_.insert(host);
      return;
    case Fate::kNotPermitted:
      if (options_.with_denied) {
        hosts_.insert(host);
      } else {
        denied_.insert(host);
      }
      return;
    case Fate::kDeniedHost:
      under_denied_hosts_.insert(host);
      return;
    case Fate::kNothingToLearn:
      return;
  }
}

std::set<std::string> SeenHosts::only_denied() const { return Without(denied_, hosts_); }

std::set<std::string> SeenHosts::only_under_denied_hosts() const {
  return Without(under_denied_hosts_, hosts_);
}

}  // namespace sallyport::cli
