// Every combination of what can hold for one host, against an oracle that shares no code with the
// engine: a literal reading of semantics.md section 3.

#include <gtest/gtest.h>

#include "common/policy/decide.h"
#include "common/policy/policy_testing.h"

namespace sallyport {
namespace {

// For each list: absent, present without the host, present with it.
enum class List { kAbsent, kOther, kHost };

struct Combination {
  List denied, allowed;
  bool intercept, instance_rule, class_rule, instance_all, class_all, internet;
};

std::string Oracle(const Combination& c) {
  if (c.denied == List::kHost) return "denied_host";
  if (c.allowed == List::kOther) return "not_allowed";
  if (c.intercept) return "intercept";
  if (c.instance_rule) return "instance-rule";
  if (c.class_rule) return "class-rule";
  if (c.instance_all) return "instance-all";
  if (c.class_all) return "class-all";
  if (c.allowed == List::kHost) return "egress";
  return c.internet ? "egress" : "no_internet";
}

std::string HostsOf(List list) { return list == List::kHost ? "'a.com'" : "'other.com'"; }

std::string Engine(const Combination& c, bool lists_of_container, const char* rule_host) {
  std::string of_class = c.internet ? "" : "enable_internet: false ";
  std::string of_container;
  const auto add_list = [&](const std::string& field, List list) {
    if (list == List::kAbsent) return;
    if (lists_of_container) {
      of_container += field + " { replace { hosts: " + HostsOf(list) + " } } ";
    } else {
      of_class += field + " { hosts: " + HostsOf(list) + " } ";
    }
  };
  add_list("denied_hosts", c.denied);
  add_list("allowed_hosts", c.allowed);
  const auto rule = [&](const char* handler) {
    return std::string("outbound_by_host { host: '") + rule_host + "' handler { handler: '" +
           handler + "' } } ";
  };
  // The class's rule is the more specific one: its tier still comes later.
  if (c.class_rule) {
    of_class += "outbound_by_host { host: 'a.com' handler { handler: 'class-rule' } } ";
  }
  if (c.instance_rule) of_container += rule("instance-rule");
  if (c.class_all) of_class += "outbound { handler: 'class-all' } ";
  if (c.instance_all) of_container += "outbound { handler: 'instance-all' } ";
  if (c.intercept) {
    of_container +=
        "intercepts { scheme: SCHEME_HTTP target: '*' handler { handler: 'intercept' } } ";
  }
  const EffectivePolicy policy = Given(of_class, of_container);
  const Verdict verdict =
      DecideRequest(policy, RequestScheme::kHttp, HostOf("a.com"), AddressOf("203.0.113.10"));
  if (const auto* deny = std::get_if<Deny>(&verdict)) return std::string(ReasonName(deny->reason));
  if (const auto* to = std::get_if<ToHandler>(&verdict)) return to->reference->handler;
  return "egress";
}

TEST(PrecedenceTest, EveryCombinationAgreesWithTheOracle) {
  int combinations = 0;
  for (const List denied : {List::kAbsent, List::kOther, List::kHost}) {
    for (const List allowed : {List::kAbsent, List::kOther, List::kHost}) {
      for (int bits = 0; bits < 64; ++bits) {
        const Combination c = {denied,           allowed,         (bits & 1) != 0,
                               (bits & 2) != 0,  (bits & 4) != 0, (bits & 8) != 0,
                               (bits & 16) != 0, (bits & 32) != 0};
        for (const bool lists_of_container : {false, true}) {
          for (const char* rule_host : {"a.com", "*.com", "203.0.113.10", "203.0.113.0/24", "*"}) {
            ++combinations;
            EXPECT_EQ(Engine(c, lists_of_container, rule_host), Oracle(c))
                << "denied " << static_cast<int>(denied) << " allowed " << static_cast<int>(allowed)
                << " bits " << bits << " rule " << rule_host;
          }
        }
      }
    }
  }
  EXPECT_EQ(combinations, 9 * 64 * 2 * 5);
}

}  // namespace
}  // namespace sallyport
