#include "common/policy/decide.h"

#include <gtest/gtest.h>

#include "common/policy/policy_testing.h"

namespace sallyport {
namespace {

constexpr char kRuleH[] = "{ handler { handler: 'h' } host: ";

// "deny REASON: RULE", "handler NAME: RULE", "egress: RULE", "relay: RULE", "decrypt".
std::string Text(const Deny& deny) {
  return "deny " + std::string(ReasonName(deny.reason)) + ": " + deny.rule.ToString();
}
std::string Text(const ToHandler& to) {
  return "handler " + to.reference->handler + ": " + to.rule.ToString();
}
std::string Text(const Egress& egress) { return "egress: " + egress.rule.ToString(); }
std::string Text(const Relay& relay) { return "relay: " + relay.rule.ToString(); }
std::string Text(const Decrypt&) { return "decrypt"; }

std::string Http(const EffectivePolicy& policy, std::string_view host,
                 std::string_view dialled = "203.0.113.10",
                 RequestScheme scheme = RequestScheme::kHttp) {
  return std::visit([](const auto& v) { return Text(v); },
                    DecideRequest(policy, scheme, HostOf(host), AddressOf(dialled)));
}

std::string Tls(const EffectivePolicy& policy, std::string_view name,
                std::string_view dialled = "203.0.113.10") {
  return std::visit([](const auto& v) { return Text(v); },
                    DecideTls(policy, HostOf(name), AddressOf(dialled)));
}

std::string Tcp(const EffectivePolicy& policy, std::string_view dialled,
                std::string_view dns_name = "") {
  const Host name = dns_name.empty() ? Host() : HostOf(dns_name);
  return std::visit([](const auto& v) { return Text(v); },
                    DecideTcp(policy, AddressOf(dialled), dns_name.empty() ? nullptr : &name));
}

TEST(DecideRequestTest, RulesAreNamedForTheAudit) {
  EXPECT_EQ(Http(Given(""), "x.com"), "egress: enable_internet");
  EXPECT_EQ(Http(Given("enable_internet: false"), "x.com"), "deny no_internet: enable_internet");
  EXPECT_EQ(Http(Given("denied_hosts { hosts: '*.x.com' }"), "a.x.com"),
            "deny denied_host: class denied_hosts *.x.com");
  EXPECT_EQ(Http(Given("", "denied_hosts { added: 'x.com' }"), "x.com"),
            "deny denied_host: instance denied_hosts x.com");
  const EffectivePolicy both = Given("allowed_hosts { hosts: 'a.com' hosts: 'b.com' }",
                                     "allowed_hosts { added: 'c.com' added: '*.d.com' }");
  EXPECT_EQ(Http(both, "b.com"), "egress: class allowed_hosts b.com");
  EXPECT_EQ(Http(both, "c.com"), "egress: instance allowed_hosts c.com");
  EXPECT_EQ(Http(both, "e.d.com"), "egress: instance allowed_hosts *.d.com");
  EXPECT_EQ(Http(both, "e.com"), "deny not_allowed: allowed_hosts");
  EXPECT_EQ(Http(Given("", "allowed_hosts { replace { hosts: 'x.com' } }"), "x.com"),
            "egress: instance allowed_hosts x.com");
  EXPECT_EQ(Http(Given("outbound { handler: 'h' }"), "x.com"), "handler h: class outbound");
  EXPECT_EQ(Http(Given("", "outbound { handler: 'h' }"), "x.com"), "handler h: instance outbound");
}

TEST(DecideRequestTest, DeniedAddressesMatchTheDialledAddressAllowedOnesDoNot) {
  const EffectivePolicy denied = Given("denied_hosts { hosts: '203.0.113.0/24' }");
  EXPECT_EQ(Http(denied, "x.com", "203.0.113.10"),
            "deny denied_host: class denied_hosts 203.0.113.0/24 (address dialled)");
  EXPECT_EQ(Http(denied, "203.0.113.9", "198.51.100.1"),
            "deny denied_host: class denied_hosts 203.0.113.0/24");
  EXPECT_EQ(Http(denied, "x.com", "198.51.100.1"), "egress: enable_internet");
  const EffectivePolicy allowed = Given("allowed_hosts { hosts: '203.0.113.0/24' }");
  EXPECT_EQ(Http(allowed, "x.com", "203.0.113.10"), "deny not_allowed: allowed_hosts");
  EXPECT_EQ(Http(allowed, "[::ffff:203.0.113.10]"), "egress: class allowed_hosts 203.0.113.0/24");
}

TEST(DecideRequestTest, InATierExactHostThenExactDialledAddressThenFirstPattern) {
  const EffectivePolicy policy = Given(
      "outbound_by_host { host: '203.0.113.0/24' handler { handler: 'network' } }"
      "outbound_by_host { host: '*.com' handler { handler: 'glob' } }"
      "outbound_by_host { host: '203.0.113.10' handler { handler: 'address' } }"
      "outbound_by_host { host: 'a.com' handler { handler: 'name' } }");
  EXPECT_EQ(Http(policy, "a.com"), "handler name: class outbound_by_host a.com");
  EXPECT_EQ(Http(policy, "b.com"), "handler address: class outbound_by_host 203.0.113.10");
  EXPECT_EQ(Http(policy, "b.com", "203.0.113.11"),
            "handler network: class outbound_by_host 203.0.113.0/24");
  EXPECT_EQ(Http(policy, "b.com", "198.51.100.1"), "handler glob: class outbound_by_host *.com");
  EXPECT_EQ(Http(policy, "b.org", "198.51.100.1"), "egress: enable_internet");
  EXPECT_EQ(Http(policy, "203.0.113.10", "198.51.100.1"),
            "handler address: class outbound_by_host 203.0.113.10");
}

TEST(DecideRequestTest, InterceptsComeAfterTheListsAndBeforeEveryTier) {
  const EffectivePolicy policy = Given(
      "denied_hosts { hosts: 'bad.com' } outbound_by_host { host: 'a.com' handler { handler: 'h' } "
      "}",
      "intercepts { scheme: SCHEME_HTTPS target: '*' handler { handler: 'secure' } }"
      "intercepts { scheme: SCHEME_HTTP target: '*.com' handler { handler: 'first' } }"
      "intercepts { scheme: SCHEME_HTTP target: 'a.com' handler { handler: 'second' } }"
      "intercepts { scheme: SCHEME_HTTP target: '198.51.100.0/24' handler { handler: 'net' } }");
  EXPECT_EQ(Http(policy, "bad.com"), "deny denied_host: class denied_hosts bad.com");
  EXPECT_EQ(Http(policy, "a.com"), "handler first: intercept http *.com");
  EXPECT_EQ(Http(policy, "a.org", "198.51.100.7"), "handler net: intercept http 198.51.100.0/24");
  EXPECT_EQ(Http(policy, "a.org"), "egress: enable_internet");
  EXPECT_EQ(Http(policy, "a.org", "203.0.113.10", RequestScheme::kHttps),
            "handler secure: intercept https *");
}

TEST(DecideRequestTest, UnsetEmptyAndEmptiedLists) {
  EXPECT_EQ(Http(Given("denied_hosts {}"), "x.com"), "egress: enable_internet");
  EXPECT_EQ(Http(Given("allowed_hosts {}"), "x.com"), "deny not_allowed: allowed_hosts");
  EXPECT_EQ(Http(Given("", "allowed_hosts { replace {} }"), "x.com"),
            "deny not_allowed: allowed_hosts");
  EXPECT_EQ(Http(Given("allowed_hosts { hosts: 'x.com' }", "allowed_hosts { removed: 'x.com' }"),
                 "x.com"),
            "deny not_allowed: allowed_hosts");
  EXPECT_EQ(Http(Given("", "allowed_hosts {}"), "x.com"), "egress: enable_internet");
  EXPECT_EQ(Http(Given("enable_internet: false", "enable_internet: true"), "x.com"),
            "egress: enable_internet");
}

TEST(DecideTlsTest, DecryptsOnlyWhereThereIsSomethingToDecideInside) {
  const std::string rule = std::string("outbound_by_host ") + kRuleH + "'a.com' }";
  const std::string address_rule = std::string("outbound_by_host ") + kRuleH + "'203.0.113.10' }";
  const std::string https =
      "intercepts { scheme: SCHEME_HTTPS target: 'a.com' handler { handler: 'h' } }";
  const std::string http =
      "intercepts { scheme: SCHEME_HTTP target: 'a.com' handler { handler: 'h' } }";
  struct {
    const char* name;
    EffectivePolicy policy;
    std::string a_com;
    std::string b_com;
  } cases[] = {
      {"nothing", Given("intercept_https: true"), "relay: enable_internet",
       "relay: enable_internet"},
      {"off", Given("denied_hosts {} " + rule), "relay: enable_internet", "relay: enable_internet"},
      {"deny list", Given("intercept_https: true denied_hosts {}"), "decrypt", "decrypt"},
      {"allow list", Given("intercept_https: true allowed_hosts {}"), "decrypt", "decrypt"},
      {"class catch-all", Given("intercept_https: true outbound { handler: 'h' }"), "decrypt",
       "decrypt"},
      {"instance catch-all", Given("intercept_https: true", "outbound { handler: 'h' }"), "decrypt",
       "decrypt"},
      {"class rule", Given("intercept_https: true " + rule), "decrypt", "relay: enable_internet"},
      {"instance rule", Given("intercept_https: true", rule), "decrypt", "relay: enable_internet"},
      {"rule for the address dialled", Given("intercept_https: true " + address_rule), "decrypt",
       "decrypt"},
      {"https intercept", Given("intercept_https: true", https), "decrypt",
       "relay: enable_internet"},
      {"http intercept", Given("intercept_https: true", http), "relay: enable_internet",
       "relay: enable_internet"},
      {"passthrough",
       Given("intercept_https: true outbound { handler: 'h' } tls_passthrough_hosts: 'a.com'"),
       "relay: enable_internet", "decrypt"},
      {"passthrough and denied",
       Given("intercept_https: true denied_hosts { hosts: 'a.com' } tls_passthrough_hosts: '*'"),
       "deny denied_host: class denied_hosts a.com", "relay: enable_internet"},
      {"not decrypted, not allowed",
       Given("allowed_hosts { hosts: 'b.com' } enable_internet: false"),
       "deny not_allowed: allowed_hosts", "relay: class allowed_hosts b.com"},
      {"handlers cannot run", Given("enable_internet: false " + rule),
       "deny no_internet: enable_internet", "deny no_internet: enable_internet"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Tls(c.policy, "a.com"), c.a_com) << c.name;
    EXPECT_EQ(Tls(c.policy, "b.com"), c.b_com) << c.name;
  }
}

TEST(DecideTcpTest, NeedsInternetAndBothListsOnAddressAndName) {
  struct {
    const char* name;
    EffectivePolicy policy;
    const char* no_name;
    const char* named;  // "db.test"
  } cases[] = {
      {"open", Given("outbound { handler: 'h' }"), "relay: enable_internet",
       "relay: enable_internet"},
      {"no internet", Given("enable_internet: false allowed_hosts { hosts: '*' }"),
       "deny no_internet: enable_internet", "deny no_internet: enable_internet"},
      {"name denied", Given("denied_hosts { hosts: 'db.test' }"), "relay: enable_internet",
       "deny denied_host: class denied_hosts db.test"},
      {"address denied", Given("denied_hosts { hosts: '203.0.113.0/24' }"),
       "deny denied_host: class denied_hosts 203.0.113.0/24",
       "deny denied_host: class denied_hosts 203.0.113.0/24"},
      {"name allowed", Given("allowed_hosts { hosts: 'db.test' }"),
       "deny not_allowed: allowed_hosts", "relay: class allowed_hosts db.test"},
      {"address allowed", Given("allowed_hosts { hosts: '203.0.113.10' }"),
       "relay: class allowed_hosts 203.0.113.10", "relay: class allowed_hosts 203.0.113.10"},
      {"address allowed, name denied",
       Given("allowed_hosts { hosts: '203.0.113.10' } denied_hosts { hosts: 'db.test' }"),
       "relay: class allowed_hosts 203.0.113.10", "deny denied_host: class denied_hosts db.test"},
      {"neither allowed", Given("allowed_hosts { hosts: 'x.test' }"),
       "deny not_allowed: allowed_hosts", "deny not_allowed: allowed_hosts"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Tcp(c.policy, "203.0.113.10"), c.no_name) << c.name;
    EXPECT_EQ(Tcp(c.policy, "203.0.113.10", "db.test"), c.named) << c.name;
  }
}

TEST(DecideDnsTest, AnswersByListsInternetAndRules) {
  using enum DnsVerdict::Action;
  const std::string rule = std::string("outbound_by_host ") + kRuleH + "'a.com' } ";
  const std::string off = "enable_internet: false ";
  struct {
    const char* name;
    EffectivePolicy policy;
    DnsVerdict::Action a_com;
    DnsVerdict::Action b_com;
  } cases[] = {
      {"open", Given(""), kResolve, kResolve},
      {"denied", Given("denied_hosts { hosts: 'a.com' }"), kNxdomain, kResolve},
      {"allowed", Given("allowed_hosts { hosts: 'a.com' }"), kResolve, kNxdomain},
      {"rule", Given(rule), kResolveOrPlaceholder, kResolve},
      {"catch-all", Given("", "outbound { handler: 'h' }"), kResolveOrPlaceholder,
       kResolveOrPlaceholder},
      {"rule but not allowed", Given(rule + "allowed_hosts { hosts: 'b.com' }"), kNxdomain,
       kResolve},
      {"off", Given(off), kNxdomain, kNxdomain},
      {"off, allowed", Given(off + "allowed_hosts { hosts: 'a.com' }"), kPlaceholder, kNxdomain},
      {"off, rule", Given(off, rule), kPlaceholder, kNxdomain},
      {"off, catch-all", Given(off + "outbound { handler: 'h' }"), kPlaceholder, kPlaceholder},
      {"off, rule but denied", Given(off + rule + "denied_hosts { hosts: '*' }"), kNxdomain,
       kNxdomain},
      {"off, intercept",
       Given(off, "intercepts { scheme: SCHEME_HTTPS target: 'a.*' handler { handler: 'h' } }"),
       kPlaceholder, kNxdomain},
      {"off, rule for addresses", Given(off + "outbound_by_host " + kRuleH + "'0.0.0.0/0' }"),
       kNxdomain, kNxdomain},
      {"denied address", Given("denied_hosts { hosts: '0.0.0.0/0' }"), kResolve, kResolve},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(DecideDns(c.policy, HostOf("a.com")).action, c.a_com) << c.name;
    EXPECT_EQ(DecideDns(c.policy, HostOf("b.com")).action, c.b_com) << c.name;
  }
}

TEST(CheckDialledAddressTest, DeniedThenForbiddenUnlessOpened) {
  const auto check = [](const EffectivePolicy& policy, std::string_view address,
                        const OpenRanges& open = {}) {
    const AddressVerdict verdict = CheckDialledAddress(policy, AddressOf(address), open);
    const Deny* deny = std::get_if<Deny>(&verdict);
    return deny != nullptr ? std::string(ReasonName(deny->reason)) : "dial";
  };
  const EffectivePolicy plain = Given("");
  EXPECT_EQ(check(plain, "203.0.113.10"), "dial");
  EXPECT_EQ(check(plain, "10.1.2.3"), "forbidden_address");
  EXPECT_EQ(check(plain, "10.1.2.3", {*Cidr::Parse("10.1.0.0/16")}), "dial");
  EXPECT_EQ(check(plain, "10.2.2.3", {*Cidr::Parse("10.1.0.0/16")}), "forbidden_address");
  EXPECT_EQ(check(plain, "127.0.0.1", {*Cidr::Parse("127.0.0.1/32")}), "dial");

  // A list opens private ranges, and nothing else, by address.
  EXPECT_EQ(check(Given("allowed_hosts { hosts: '10.0.0.0/8' }"), "10.1.2.3"), "dial");
  EXPECT_EQ(check(Given("allowed_hosts { hosts: '10.1.2.3' }"), "10.1.2.3"), "dial");
  EXPECT_EQ(check(Given("allowed_hosts { hosts: 'fd00::/8' }"), "fd00::1"), "dial");
  EXPECT_EQ(check(Given("allowed_hosts { hosts: '100.64.0.0/10' }"), "100.64.0.1"), "dial");
  EXPECT_EQ(check(Given("", "allowed_hosts { added: '10.0.0.0/8' }"), "10.1.2.3"), "dial");
  EXPECT_EQ(check(Given("allowed_hosts { hosts: '*' }"), "10.1.2.3"), "forbidden_address");
  EXPECT_EQ(check(Given("allowed_hosts { hosts: '10.*' }"), "10.1.2.3"), "forbidden_address");
  for (const char* address : {"127.0.0.1", "169.254.169.254", "0.0.0.0", "255.255.255.255"}) {
    EXPECT_EQ(check(Given("allowed_hosts { hosts: '0.0.0.0/0' }"), address), "forbidden_address");
  }
  EXPECT_EQ(check(Given("allowed_hosts { hosts: '::/0' }"), "2002:a00:1::1"), "forbidden_address");

  const EffectivePolicy denied =
      Given("denied_hosts { hosts: '203.0.113.0/24' hosts: '10.0.0.1' }");
  EXPECT_EQ(check(denied, "203.0.113.10"), "denied_host");
  EXPECT_EQ(check(denied, "64:ff9b::203.0.113.10"), "denied_host");
  EXPECT_EQ(check(denied, "2002:cb00:710a::1"), "denied_host");
  EXPECT_EQ(check(denied, "10.0.0.1", {*Cidr::Parse("0.0.0.0/0")}), "denied_host");
}

TEST(CheckHostTest, IsThereForEveryContainerAndLeadsNowhere) {
  const std::string host = "check.sallyport.internal";
  const std::string denied = "deny not_allowed: platform (check)";
  for (const char* text :
       {"", "enable_internet: false", "allowed_hosts { hosts: '*' }", "denied_hosts { hosts: '*' }",
        "outbound { handler: 'h' }", "monitor: true",
        "outbound_by_host { handler { handler: 'h' } host: 'check.sallyport.internal' }"}) {
    const EffectivePolicy policy = Given(text);
    EXPECT_EQ(Http(policy, host), denied) << text;
    EXPECT_EQ(Http(policy, host, "203.0.113.10", RequestScheme::kHttps), denied) << text;
    EXPECT_EQ(Tls(policy, host), denied) << text;
    EXPECT_EQ(DecideDns(policy, HostOf(host)).action, DnsVerdict::Action::kPlaceholder) << text;
    EXPECT_EQ(Tls(Given(std::string(text) + " intercept_https: true"), host), "decrypt") << text;
  }
  EXPECT_EQ(Http(Given(""), "a.check.sallyport.internal"), "egress: enable_internet");
}

TEST(IsHttpPortTest, DefaultsAndTheClassesOwn) {
  EXPECT_TRUE(IsHttpPort(Given(""), 80));
  EXPECT_TRUE(IsHttpPort(Given(""), 443));
  EXPECT_FALSE(IsHttpPort(Given(""), 8080));
  EXPECT_TRUE(IsHttpPort(Given("http_ports: 8080"), 8080));
  EXPECT_FALSE(IsHttpPort(Given("http_ports: 8080"), 80));
}

}  // namespace
}  // namespace sallyport
