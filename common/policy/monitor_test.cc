// Monitor mode: what the lists and enable_internet refuse passes, and says so.

#include <gtest/gtest.h>

#include "common/policy/decide.h"
#include "common/policy/policy_testing.h"
#include "common/policy/random_policy_testing.h"

namespace sallyport {
namespace {

std::string Text(std::string_view decision, const Rule& rule, std::optional<Reason> would_deny) {
  std::string text = std::string(decision) + ": " + rule.ToString();
  if (would_deny.has_value()) text += ", would deny " + std::string(ReasonName(*would_deny));
  return text;
}
std::string Text(const Deny& deny) { return Text("deny", deny.rule, std::nullopt); }
std::string Text(const ToHandler& v) { return Text(v.reference->handler, v.rule, v.would_deny); }
std::string Text(const Egress& v) { return Text("egress", v.rule, v.would_deny); }
std::string Text(const Relay& v) { return Text("relay", v.rule, v.would_deny); }
std::string Text(const Decrypt&) { return "decrypt"; }
template <typename... T>
std::string Text(const std::variant<T...>& verdict) {
  return std::visit([](const auto& v) { return Text(v); }, verdict);
}

const IpAddress kDialled = *IpAddress::Parse("203.0.113.10");

std::string Http(const EffectivePolicy& policy, std::string_view host) {
  return Text(DecideRequest(policy, RequestScheme::kHttp, HostOf(host), kDialled));
}
EffectivePolicy Monitored(const std::string& class_fields, const std::string& container = "") {
  return Given("monitor: true " + class_fields, container);
}

TEST(MonitorTest, RequestsPassAndSayWhatWouldRefuseThem) {
  EXPECT_EQ(Http(Monitored("denied_hosts { hosts: 'a.com' }"), "a.com"),
            "egress: enable_internet, would deny denied_host");
  EXPECT_EQ(Http(Monitored("allowed_hosts { hosts: 'b.com' }"), "a.com"),
            "egress: enable_internet, would deny not_allowed");
  EXPECT_EQ(Http(Monitored("allowed_hosts { hosts: 'b.com' }"), "b.com"),
            "egress: class allowed_hosts b.com");
  EXPECT_EQ(Http(Monitored("enable_internet: false"), "a.com"),
            "egress: class monitor, would deny no_internet");
  // The first is what an enforcing class would say.
  EXPECT_EQ(
      Http(Monitored("denied_hosts { hosts: 'a.com' } allowed_hosts {} enable_internet: false"),
           "a.com"),
      "egress: class monitor, would deny denied_host");
  EXPECT_EQ(Http(Monitored(""), "a.com"), "egress: enable_internet");
}

TEST(MonitorTest, HandlersRunAsIfTheListsAllowed) {
  EXPECT_EQ(Http(Monitored("allowed_hosts {} outbound { handler: 'h' }"), "a.com"),
            "h: class outbound, would deny not_allowed");
  EXPECT_EQ(Http(Monitored("denied_hosts { hosts: '*' }",
                           "outbound_by_host { host: 'a.com' handler { handler: 'h' } }"),
                 "a.com"),
            "h: instance outbound_by_host a.com, would deny denied_host");
}

TEST(MonitorTest, TlsByNameAndTcp) {
  const EffectivePolicy policy =
      Monitored("denied_hosts { hosts: 'a.com' hosts: '203.0.113.0/24' }");
  EXPECT_EQ(Text(DecideTls(policy, HostOf("a.com"), AddressOf("198.51.100.1"))),
            "relay: enable_internet, would deny denied_host");
  EXPECT_EQ(Text(DecideTcp(policy, kDialled, nullptr)),
            "relay: enable_internet, would deny denied_host");
  EXPECT_EQ(Text(DecideTcp(Monitored("enable_internet: false allowed_hosts { hosts: '*' }"),
                           kDialled, nullptr)),
            "relay: class monitor, would deny no_internet");
}

TEST(MonitorTest, NamesAreResolved) {
  using enum DnsVerdict::Action;
  const auto dns = [](const EffectivePolicy& policy) { return DecideDns(policy, HostOf("a.com")); };
  DnsVerdict verdict = dns(Monitored("denied_hosts { hosts: 'a.com' }"));
  EXPECT_EQ(verdict.action, kResolve);
  EXPECT_EQ(verdict.would_deny, Reason::kDeniedHost);
  verdict = dns(Monitored("allowed_hosts {}"));
  EXPECT_EQ(verdict.would_deny, Reason::kNotAllowed);
  verdict = dns(Monitored("enable_internet: false"));
  EXPECT_EQ(verdict.action, kResolve);
  EXPECT_EQ(verdict.would_deny, Reason::kNoInternet);
  verdict = dns(Monitored("enable_internet: false outbound { handler: 'h' }"));
  EXPECT_EQ(verdict.action, kResolveOrPlaceholder);
  EXPECT_EQ(verdict.would_deny, std::nullopt);
}

TEST(MonitorTest, AddressesOfTheListsAreWaivedThoseOfThePlatformAreNot) {
  const EffectivePolicy policy =
      Monitored("denied_hosts { hosts: '203.0.113.0/24' hosts: '10.0.0.0/8' }");
  const auto check = [&](std::string_view address) {
    const AddressVerdict verdict = CheckDialledAddress(policy, AddressOf(address), {});
    if (const Deny* deny = std::get_if<Deny>(&verdict))
      return "deny " + std::string(ReasonName(deny->reason));
    const std::optional<Reason> would_deny = std::get<MayDial>(verdict).would_deny;
    return would_deny.has_value() ? "dial, would deny " + std::string(ReasonName(*would_deny))
                                  : std::string("dial");
  };
  EXPECT_EQ(check("203.0.113.10"), "dial, would deny denied_host");
  EXPECT_EQ(check("198.51.100.1"), "dial");
  EXPECT_EQ(check("10.1.2.3"), "deny forbidden_address");
  EXPECT_EQ(check("169.254.169.254"), "deny forbidden_address");
}

TEST(MonitorTest, ForwardsToDeniedHostsPass) {
  const AddressVerdict verdict =
      CheckForwardHost(Monitored("denied_hosts { hosts: 'a.com' }"), HostOf("a.com"));
  ASSERT_TRUE(std::holds_alternative<MayDial>(verdict));
  EXPECT_EQ(std::get<MayDial>(verdict).would_deny, Reason::kDeniedHost);
  EXPECT_TRUE(std::holds_alternative<Deny>(
      CheckForwardHost(Given("denied_hosts { hosts: 'a.com' }"), HostOf("a.com"))));
}

// The verdict and the would-be denial of a monitored class are what an enforcing one says.
TEST(MonitorTest, WouldDenyExactlyWhatEnforcingDenies) {
  RandomPolicies random(11);
  int denied = 0;
  for (int round = 0; round < 20'000; ++round) {
    v1::ContainerClass c = random.Class(false);
    const v1::ContainerPolicy i = random.Container();
    const EffectivePolicy enforcing = RandomPolicies::Effective(c, i);
    c.set_monitor(true);
    const EffectivePolicy monitored = RandomPolicies::Effective(c, i);
    const Host host = HostOf(random.HostText());
    const IpAddress dialled = AddressOf(random.AddressText());
    const Verdict would = DecideRequest(enforcing, RequestScheme::kHttp, host, dialled);
    const Verdict is = DecideRequest(monitored, RequestScheme::kHttp, host, dialled);
    ASSERT_FALSE(std::holds_alternative<Deny>(is));
    const std::optional<Reason> would_deny = std::holds_alternative<ToHandler>(is)
                                                 ? std::get<ToHandler>(is).would_deny
                                                 : std::get<Egress>(is).would_deny;
    if (const Deny* deny = std::get_if<Deny>(&would)) {
      ++denied;
      EXPECT_EQ(would_deny, deny->reason);
    } else {
      EXPECT_EQ(would_deny, std::nullopt);
      EXPECT_EQ(Text(is), Text(would));
    }
  }
  EXPECT_GT(denied, 1000);
}

}  // namespace
}  // namespace sallyport
