#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/policy/effective_policy.h"
#include "common/policy/validate.h"

namespace sallyport {

class RuleTier::Builder {
 public:
  explicit Builder(size_t rules) { patterns_.reserve(rules); }

  void Add(Pattern pattern, const v1::HandlerReference& reference) {
    patterns_.push_back(std::move(pattern));
    const auto [same, is_new] = places_.try_emplace(
        reference.SerializeAsString(), static_cast<uint32_t>(tier_.references_.size()));
    if (is_new) tier_.references_.emplace_back(reference);
    tier_.reference_of_.push_back(same->second);
  }
  RuleTier Build() {
    tier_.table_ = PatternTable(std::move(patterns_));
    return std::move(tier_);
  }

 private:
  RuleTier tier_;
  std::vector<Pattern> patterns_;
  absl::flat_hash_map<std::string, uint32_t> places_;  // By serialised reference.
};

absl::StatusOr<RuleTier> RuleTier::FromProto(
    const google::protobuf::RepeatedPtrField<v1::HostRule>& rules, std::string_view field_path) {
  Builder builder(rules.size());
  for (int i = 0; i < rules.size(); ++i) {
    const std::string path = Element(field_path, i);
    absl::StatusOr<Pattern> pattern = Pattern::Parse(rules[i].host());
    if (!pattern.ok()) return AtField(StrCat(path, ".host"), pattern.status());
    RETURN_IF_ERROR(ValidateReference(StrCat(path, ".handler"), rules[i].handler()));
    builder.Add(*std::move(pattern), rules[i].handler());
  }
  return builder.Build();
}

absl::StatusOr<RuleTier> RuleTier::FromIntercepts(
    const google::protobuf::RepeatedPtrField<v1::InterceptRule>& rules,
    v1::InterceptRule::Scheme scheme) {
  Builder builder(0);
  for (int i = 0; i < rules.size(); ++i) {
    if (rules[i].scheme() != scheme) continue;
    absl::StatusOr<Pattern> pattern = Pattern::Parse(rules[i].target());
    if (!pattern.ok()) {
      return AtField(StrCat(Element("intercepts", i), ".target"), pattern.status());
    }
    builder.Add(*std::move(pattern), rules[i].handler());
  }
  return builder.Build();
}

HandlerRule RuleTier::At(Position position) const {
  if (position == kNoPosition) return {};
  return {&table_[position], &references_[reference_of_[position]]};
}

Position RuleTier::FirstPattern(const Host& host, const IpAddress* dialled) const {
  const Position network = dialled == nullptr ? kNoPosition : table_.FirstNetwork(*dialled);
  return std::min(network, table_.FirstPattern(host));
}

HandlerRule RuleTier::Match(const Host& host, const IpAddress* dialled) const {
  if (table_.empty()) return {};
  Position position = table_.Exact(host);
  if (position == kNoPosition && dialled != nullptr) position = table_.ExactAddress(*dialled);
  if (position == kNoPosition) position = FirstPattern(host, dialled);
  return At(position);
}

HandlerRule RuleTier::FirstMatch(const Host& host, const IpAddress* dialled) const {
  if (table_.empty()) return {};
  Position position = std::min(table_.Exact(host), FirstPattern(host, dialled));
  if (dialled != nullptr) position = std::min(position, table_.ExactAddress(*dialled));
  return At(position);
}

size_t RuleTier::MemoryBytes() const {
  return table_.MemoryBytes() + reference_of_.capacity() * sizeof(uint32_t) +
         references_.capacity() * sizeof(HandlerReference);
}

}  // namespace sallyport
