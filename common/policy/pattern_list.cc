#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/policy/effective_policy.h"
#include "common/policy/validate.h"

namespace sallyport {

absl::StatusOr<PatternList> PatternList::FromProto(const v1::HostList& list,
                                                   std::string_view field_path,
                                                   size_t class_entries) {
  PatternList patterns;
  patterns.class_entries_ = class_entries;
  patterns.entries_.reserve(list.hosts_size());
  for (int i = 0; i < list.hosts_size(); ++i) {
    absl::StatusOr<Pattern> pattern = Pattern::Parse(list.hosts(i));
    if (!pattern.ok()) return AtField(Element(field_path, i), pattern.status());
    const size_t index = patterns.entries_.size();
    switch (pattern->kind()) {
      case Pattern::Kind::kExactName:
        patterns.names_.try_emplace(pattern->text(), index);
        break;
      case Pattern::Kind::kAddress:
        patterns.addresses_.try_emplace(pattern->network().address(), index);
        break;
      case Pattern::Kind::kGlob:
        patterns.globs_.push_back(index);
        break;
      case Pattern::Kind::kNetwork:
        patterns.networks_.push_back(index);
        break;
    }
    patterns.entries_.push_back(*std::move(pattern));
  }
  return patterns;
}

const Pattern* PatternList::Match(const Host& host) const {
  if (host.is_address()) {
    if (const Pattern* entry = MatchAddress(host.address())) return entry;
  } else if (const auto it = names_.find(host.text()); it != names_.end()) {
    return &entries_[it->second];
  }
  for (const size_t index : globs_) {
    if (entries_[index].Matches(host)) return &entries_[index];
  }
  return nullptr;
}

const Pattern* PatternList::MatchAddress(const IpAddress& address) const {
  if (const auto it = addresses_.find(address); it != addresses_.end()) {
    return &entries_[it->second];
  }
  for (const size_t index : networks_) {
    if (entries_[index].MatchesAddress(address)) return &entries_[index];
  }
  return nullptr;
}

std::string_view PatternList::OwnerOf(const Pattern* entry) const {
  return static_cast<size_t>(entry - entries_.data()) < class_entries_ ? "class" : "instance";
}

}  // namespace sallyport
