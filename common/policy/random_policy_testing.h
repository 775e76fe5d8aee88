// Random policies and requests for property tests, of few names and addresses, so that rules meet.

#ifndef SALLYPORT_COMMON_POLICY_RANDOM_POLICY_TESTING_H_
#define SALLYPORT_COMMON_POLICY_RANDOM_POLICY_TESTING_H_

#include <initializer_list>
#include <random>
#include <string>

#include "common/policy/policy_testing.h"

namespace sallyport {

// Deterministic for a seed.
class RandomPolicies {
 public:
  explicit RandomPolicies(uint32_t seed) : random_(seed) {}

  // True once in `n`.
  bool OneIn(uint32_t n) { return random_() % n == 0; }
  std::string Of(std::initializer_list<const char*> choices) {
    return *(choices.begin() + random_() % choices.size());
  }
  std::string HostText() {
    return Of({"a.com", "b.com", "x.a.com", "a.org", "203.0.113.10", "10.1.2.3", "[2001:db8::1]"});
  }
  std::string AddressText() {
    return Of({"203.0.113.10", "203.0.113.20", "198.51.100.1", "10.1.2.3", "2001:db8::1"});
  }
  std::string PatternText() {
    return Of({"a.com", "b.com", "*.com", "*.a.com", "a.*", "*", "203.0.113.10", "203.0.113.0/24",
               "10.0.0.0/8", "2001:db8::/32", "198.51.100.1", "x*com"});
  }

  v1::ContainerClass Class(bool monitor) {
    v1::ContainerClass c;
    c.set_name("c");
    c.set_monitor(monitor);
    if (OneIn(3)) c.set_enable_internet(false);
    if (OneIn(2)) c.set_intercept_https(true);
    if (OneIn(3)) FillList(c.mutable_allowed_hosts());
    if (OneIn(3)) FillList(c.mutable_denied_hosts());
    FillRules("class-rule", c.mutable_outbound_by_host());
    if (OneIn(5)) c.mutable_outbound()->set_handler("class-all");
    if (OneIn(4)) c.add_tls_passthrough_hosts(PatternText());
    if (OneIn(4)) c.add_http_ports(443);
    return c;
  }
  v1::ContainerPolicy Container() {
    v1::ContainerPolicy c;
    c.set_container_id("i");
    c.set_class_name("c");
    if (OneIn(6)) c.set_enable_internet(OneIn(2));
    if (OneIn(4)) FillList(c.mutable_allowed_hosts()->mutable_replace());
    if (OneIn(4)) c.mutable_denied_hosts()->add_added(PatternText());
    FillRules("instance-rule", c.mutable_outbound_by_host());
    if (OneIn(5)) c.mutable_outbound()->set_handler("instance-all");
    if (OneIn(4)) {
      v1::InterceptRule& rule = *c.add_intercepts();
      rule.set_scheme(OneIn(2) ? v1::InterceptRule::SCHEME_HTTP : v1::InterceptRule::SCHEME_HTTPS);
      rule.set_target(PatternText());
      rule.mutable_handler()->set_handler("low");
    }
    return c;
  }
  static EffectivePolicy Effective(const v1::ContainerClass& c, const v1::ContainerPolicy& i) {
    const auto policy = EffectivePolicy::FromProto(c, i, 1);
    EXPECT_TRUE(policy.ok()) << policy.status() << c.DebugString() << i.DebugString();
    return policy.ok() ? *policy : EffectivePolicy();
  }

 private:
  void FillList(v1::HostList* list) {
    while (!OneIn(3)) list->add_hosts(PatternText());
  }
  void FillRules(const char* handler, google::protobuf::RepeatedPtrField<v1::HostRule>* rules) {
    while (OneIn(2)) {
      const std::string host = PatternText();
      for (const v1::HostRule& rule : *rules) {
        if (rule.host() == host) return;
      }
      v1::HostRule& rule = *rules->Add();
      rule.set_host(host);
      rule.mutable_handler()->set_handler(handler);
    }
  }

  std::mt19937 random_;
};

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_RANDOM_POLICY_TESTING_H_
