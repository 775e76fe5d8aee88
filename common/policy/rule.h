// What decided, for audit records and operators.

#ifndef SALLYPORT_COMMON_POLICY_RULE_H_
#define SALLYPORT_COMMON_POLICY_RULE_H_

#include <optional>
#include <string>
#include <string_view>

#include "common/net/address.h"
#include "common/policy/pattern.h"

namespace sallyport {

// A rule or an entry of a list, put into words only when somebody asks: a decision must not pay for
// text. Points into the policy, which has to outlive it. Empty: no rule.
struct Rule {
  std::string_view owner;            // "class", "instance" or nothing; static.
  std::string_view field;            // "allowed_hosts", "enable_internet", …; static.
  const Pattern* pattern = nullptr;  // The entry; null: the field as a whole.
  std::string_view note;             // "(address dialled)" or nothing; static.
  std::optional<IpAddress> address;  // The address that the entry or the platform's limits match.

  bool empty() const { return field.empty(); }
  // "class denied_hosts 203.0.113.0/24 (address 203.0.113.7)".
  std::string ToString() const;
};

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_RULE_H_
