#include "common/policy/explain.h"

#include <gtest/gtest.h>

#include "common/policy/policy_testing.h"
#include "common/policy/random_policy_testing.h"

namespace sallyport {
namespace {

using Scheme = ExplainQuery::Scheme;

ExplainQuery Query(Scheme scheme, std::string_view host, uint16_t port,
                   std::vector<std::string> resolved = {}) {
  ExplainQuery query{scheme, HostOf(host), port, std::nullopt, {}};
  for (const std::string& address : resolved) query.resolved.push_back(AddressOf(address));
  return query;
}

// "deny denied_host: class denied_hosts a.com [1]".
std::string Text(const EffectivePolicy& policy, const ExplainQuery& query) {
  const Explanation explanation = ExplainRequest(policy, query, {});
  std::string text(explanation.decision);
  if (!explanation.reason.empty()) text += " " + std::string(explanation.reason);
  if (explanation.handler != nullptr) text += " " + explanation.handler->handler;
  if (!explanation.rule.empty()) text += ": " + explanation.rule.ToString();
  for (const ExplainedStep& step : explanation.steps) {
    if (step.decides) text += " [" + std::to_string(step.number) + "]";
  }
  if (explanation.would_deny.has_value()) {
    text += " would_deny " + std::string(ReasonName(*explanation.would_deny));
  }
  return text;
}

// "2 kDenies…" of every step that says something, in order.
std::string Steps(const EffectivePolicy& policy, const ExplainQuery& query) {
  static constexpr const char* kOutcomes[] = {"passes", "denies", "handler", "egress"};
  std::string text;
  for (const ExplainedStep& step : ExplainRequest(policy, query, {}).steps) {
    if (step.result.outcome == StepResult::Outcome::kPasses && step.result.rule.empty()) continue;
    text += std::to_string(step.number) + " " + kOutcomes[static_cast<int>(step.result.outcome)] +
            " " + step.result.rule.ToString() + (step.decides ? " !; " : "; ");
  }
  return text;
}

TEST(ExplainRequestTest, SaysWhatEveryStepWouldHaveDone) {
  const EffectivePolicy policy = Given(
      "allowed_hosts { hosts: '*.com' } enable_internet: false "
      "outbound_by_host { host: 'a.com' handler { handler: 'h' } }",
      "outbound { handler: 'all' }");
  EXPECT_EQ(Steps(policy, Query(Scheme::kHttp, "a.com", 80)),
            "2 passes class allowed_hosts *.com; 4 handler class outbound_by_host a.com !; "
            "5 handler instance outbound; 7 egress class allowed_hosts *.com; "
            "9 denies enable_internet; ");
  EXPECT_EQ(Steps(policy, Query(Scheme::kHttp, "a.org", 80)),
            "2 denies allowed_hosts !; 5 handler instance outbound; 9 denies enable_internet; ");
}

TEST(ExplainRequestTest, StepsAreInTheOrderOfTheDecision) {
  std::vector<int> numbers;
  for (const ExplainedStep& step :
       ExplainRequest(Given(""), Query(Scheme::kHttp, "a.com", 80), {}).steps) {
    numbers.push_back(step.number);
    EXPECT_FALSE(step.name.empty());
  }
  EXPECT_EQ(numbers, (std::vector<int>{1, 2, 0, 3, 4, 5, 6, 7, 8, 9, 10}));
}

TEST(ExplainRequestTest, Tls) {
  const EffectivePolicy off = Given("outbound { handler: 'h' }");
  EXPECT_EQ(Text(off, Query(Scheme::kHttps, "a.com", 443)), "relay: enable_internet [8]");
  EXPECT_FALSE(ExplainRequest(off, Query(Scheme::kHttps, "a.com", 443), {}).decrypted);
  const EffectivePolicy on = Given("outbound { handler: 'h' } intercept_https: true");
  EXPECT_EQ(Text(on, Query(Scheme::kHttps, "a.com", 443)), "handler h: class outbound [6]");
  EXPECT_TRUE(ExplainRequest(on, Query(Scheme::kHttps, "a.com", 443), {}).decrypted);
}

TEST(ExplainRequestTest, RawBytes) {
  const EffectivePolicy policy = Given("denied_hosts { hosts: 'db.test' }");
  EXPECT_EQ(Text(policy, Query(Scheme::kTcp, "203.0.113.10", 5432)), "relay: enable_internet [8]");
  EXPECT_EQ(Text(policy, Query(Scheme::kTcp, "10.1.2.3", 5432)),
            "deny forbidden_address: platform (address 10.1.2.3) [10]");
  EXPECT_EQ(Text(policy, Query(Scheme::kTcp, "203.0.113.10", 443)),
            "reject bad_request: class http_ports");
  // HTTP on a port that is not sniffed is raw bytes, by the name that DNS gave the address for.
  EXPECT_EQ(Text(policy, Query(Scheme::kHttp, "db.test", 8080, {"203.0.113.10"})),
            "deny denied_host: class denied_hosts db.test [1]");
}

TEST(ExplainRequestTest, AddressesThatWouldBeDialled) {
  const EffectivePolicy policy = Given("denied_hosts { hosts: '203.0.113.0/24' }");
  EXPECT_EQ(Text(policy, Query(Scheme::kHttp, "a.com", 80, {"203.0.113.10"})),
            "deny denied_host: class denied_hosts 203.0.113.0/24 (address 203.0.113.10) [10]");
  EXPECT_EQ(Text(policy, Query(Scheme::kHttp, "a.com", 80, {"203.0.113.10", "198.51.100.1"})),
            "egress: enable_internet [8]");
  EXPECT_EQ(Text(policy, Query(Scheme::kHttp, "a.com", 80)), "egress: enable_internet [8]");
  // A handler answers without any address.
  EXPECT_EQ(Text(Given("outbound { handler: 'h' }"),
                 Query(Scheme::kHttp, "a.com", 80, {"169.254.169.254"})),
            "handler h: class outbound [6]");
}

TEST(ExplainRequestTest, MonitorMode) {
  const EffectivePolicy policy = Given("monitor: true allowed_hosts {} enable_internet: false");
  EXPECT_EQ(Text(policy, Query(Scheme::kHttp, "a.com", 80)),
            "egress: class monitor would_deny not_allowed");
  EXPECT_EQ(Text(policy, Query(Scheme::kHttp, "a.com", 80, {"10.0.0.1"})),
            "deny forbidden_address: platform (address 10.0.0.1) [10] would_deny not_allowed");
}

std::string Decided(const Verdict& verdict) {
  if (const auto* deny = std::get_if<Deny>(&verdict)) {
    return "deny " + std::string(ReasonName(deny->reason)) + deny->rule.ToString();
  }
  if (const auto* to = std::get_if<ToHandler>(&verdict)) {
    return "handler " + to->reference->handler + to->rule.ToString();
  }
  return "egress " + std::get<Egress>(verdict).rule.ToString();
}
std::string Decided(const TcpVerdict& verdict) {
  if (const auto* deny = std::get_if<Deny>(&verdict)) {
    return "deny " + std::string(ReasonName(deny->reason)) + deny->rule.ToString();
  }
  return "relay " + std::get<Relay>(verdict).rule.ToString();
}
template <typename AnyVerdict>
std::optional<Reason> WouldDeny(const AnyVerdict& verdict) {
  return std::visit(
      [](const auto& v) -> std::optional<Reason> {
        if constexpr (requires { v.would_deny; }) return v.would_deny;
        return std::nullopt;
      },
      verdict);
}

// What decide.h says of the same request, addresses left out.
std::string ByDeciding(const EffectivePolicy& policy, const ExplainQuery& query,
                       std::optional<Reason>* would_deny) {
  const auto done = [&](const auto& verdict) {
    *would_deny = WouldDeny(verdict);
    return Decided(verdict);
  };
  if (!IsHttpPort(policy, query.port)) {
    const Host* name = query.host.is_address() ? nullptr : &query.host;
    return done(DecideTcp(policy, *query.dialled, name));
  }
  if (query.scheme == Scheme::kHttp) {
    return done(DecideRequest(policy, RequestScheme::kHttp, query.host, *query.dialled));
  }
  const TlsVerdict tls = DecideTls(policy, query.host, *query.dialled);
  if (std::holds_alternative<Decrypt>(tls)) {
    return done(DecideRequest(policy, RequestScheme::kHttps, query.host, *query.dialled));
  }
  if (const auto* relay = std::get_if<Relay>(&tls)) return done(TcpVerdict(*relay));
  return done(TcpVerdict(std::get<Deny>(tls)));
}

TEST(ExplainRequestTest, TheDecidingStepIsWhatDecidingSays) {
  RandomPolicies random(3);
  std::set<std::string> outcomes;
  for (int round = 0; round < 20'000; ++round) {
    const EffectivePolicy policy =
        RandomPolicies::Effective(random.Class(round % 3 == 0), random.Container());
    ExplainQuery query = Query(random.OneIn(2) ? Scheme::kHttp : Scheme::kHttps, random.HostText(),
                               random.OneIn(3) ? 443 : 80);
    query.dialled = AddressOf(random.AddressText());
    const Explanation explanation = ExplainRequest(policy, query, {});

    int deciding = 0;
    StepResult result{StepResult::Outcome::kEgress, {"class", "monitor", nullptr, "", {}}};
    for (const ExplainedStep& step : explanation.steps) {
      if (!step.decides) continue;
      ++deciding;
      if (step.number != 10) result = step.result;
    }
    std::optional<Reason> would_deny;
    const std::string decided = ByDeciding(policy, query, &would_deny);
    outcomes.insert(decided.substr(0, decided.find(' ')));
    EXPECT_EQ(explanation.rule.ToString(),
              [&] { return deciding == 0 ? "class monitor" : explanation.rule.ToString(); }());
    if (explanation.steps.back().decides) {
      // The addresses come after what the steps permit.
      EXPECT_TRUE(decided.starts_with("egress") || decided.starts_with("relay")) << decided;
      continue;
    }
    EXPECT_LE(deciding, 1);
    std::string explained(explanation.decision);
    explained += " ";
    explained += explanation.reason;
    if (explanation.handler != nullptr) explained += explanation.handler->handler;
    explained += explanation.rule.ToString();
    EXPECT_EQ(explained, decided);
    EXPECT_EQ(result.rule.ToString(), explanation.rule.ToString());
    if (would_deny.has_value()) EXPECT_EQ(explanation.would_deny, would_deny);
  }
  EXPECT_EQ(outcomes, (std::set<std::string>{"deny", "egress", "handler", "relay"}));
}

}  // namespace
}  // namespace sallyport
