#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/policy/effective_policy.h"
#include "common/policy/validate.h"

namespace sallyport {

absl::StatusOr<RuleTier> RuleTier::FromProto(
    const google::protobuf::RepeatedPtrField<v1::HostRule>& rules, std::string_view field_path) {
  RuleTier tier;
  tier.rules_.reserve(rules.size());
  for (int i = 0; i < rules.size(); ++i) {
    const std::string path = Element(field_path, i);
    absl::StatusOr<Pattern> pattern = Pattern::Parse(rules[i].host());
    if (!pattern.ok()) return AtField(StrCat(path, ".host"), pattern.status());
    RETURN_IF_ERROR(ValidateReference(StrCat(path, ".handler"), rules[i].handler()));
    const size_t index = tier.rules_.size();
    if (pattern->kind() == Pattern::Kind::kExactName) {
      tier.names_.try_emplace(pattern->text(), index);
    } else if (pattern->kind() == Pattern::Kind::kAddress) {
      tier.addresses_.try_emplace(pattern->network().address(), index);
    } else {
      tier.patterns_.push_back(index);
    }
    tier.rules_.push_back(
        {*std::move(pattern), {rules[i].handler().handler(), rules[i].handler().params()}});
  }
  return tier;
}

const HandlerRule* RuleTier::Exact(const Host& host) const {
  if (host.is_address()) {
    const auto it = addresses_.find(host.address());
    return it == addresses_.end() ? nullptr : &rules_[it->second];
  }
  const auto it = names_.find(host.text());
  return it == names_.end() ? nullptr : &rules_[it->second];
}

const HandlerRule* RuleTier::Match(const Host& host, const IpAddress& dialled) const {
  if (const HandlerRule* rule = Exact(host)) return rule;
  if (const auto it = addresses_.find(dialled); it != addresses_.end()) return &rules_[it->second];
  for (const size_t index : patterns_) {
    const Pattern& pattern = rules_[index].pattern;
    if (pattern.Matches(host) || pattern.MatchesAddress(dialled)) return &rules_[index];
  }
  return nullptr;
}

const HandlerRule* RuleTier::MatchName(const Host& host) const {
  if (const HandlerRule* rule = Exact(host)) return rule;
  for (const size_t index : patterns_) {
    if (rules_[index].pattern.Matches(host)) return &rules_[index];
  }
  return nullptr;
}

}  // namespace sallyport
