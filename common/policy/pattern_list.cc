#include <utility>

#include "common/policy/effective_policy.h"
#include "common/policy/validate.h"

namespace sallyport {

absl::StatusOr<PatternList> PatternList::FromProto(const v1::HostList& list,
                                                   std::string_view field_path,
                                                   size_t class_entries) {
  std::vector<Pattern> patterns;
  patterns.reserve(list.hosts_size());
  for (int i = 0; i < list.hosts_size(); ++i) {
    absl::StatusOr<Pattern> pattern = Pattern::Parse(list.hosts(i));
    if (!pattern.ok()) return AtField(Element(field_path, i), pattern.status());
    patterns.push_back(*std::move(pattern));
  }
  PatternList result;
  result.table_ = PatternTable(std::move(patterns));
  result.class_entries_ = class_entries;
  return result;
}

const Pattern* PatternList::At(Position position) const {
  return position == kNoPosition ? nullptr : &table_[position];
}

const Pattern* PatternList::Match(const Host& host) const {
  const Position exact = table_.Exact(host);
  return At(exact != kNoPosition ? exact : table_.FirstPattern(host));
}

const Pattern* PatternList::MatchAddress(const IpAddress& address) const {
  const Position exact = table_.ExactAddress(address);
  return At(exact != kNoPosition ? exact : table_.FirstNetwork(address));
}

std::string_view PatternList::OwnerOf(const Pattern* entry) const {
  return static_cast<size_t>(entry - entries().data()) < class_entries_ ? "class" : "instance";
}

}  // namespace sallyport
