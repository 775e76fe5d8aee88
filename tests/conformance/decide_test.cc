// Every case of cases.json by the decision engine alone: no sockets, no TLS, no control plane.

#include "common/policy/decide.h"

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <set>

#include "absl/status/status.h"
#include "common/net/host.h"
#include "common/policy/effective_policy.h"
#include "tests/conformance/cases.h"
#include "tests/conformance/edit_step.h"

namespace sallyport::conformance {
namespace {

// Cases whose outcome is decided by bytes that only a connection has. The whole-system test runs
// them.
const std::set<std::string>& NeedsTheWire() {
  static const auto& ids = *new std::set<std::string>{
      "H5",  // What is neither TLS nor HTTP on a sniffed port is refused by the sniffer.
  };
  return ids;
}

// What the container would see.
struct Outcome {
  std::string outcome;
  int status = 0;
  std::string reason = {};
  std::string certificate = {};
  const HandlerReference* handler = nullptr;
};

Outcome Denied(const EffectivePolicy& policy, const Deny& deny) {
  return {"deny", policy.deny_response.status, std::string(ReasonName(deny.reason))};
}

// An absolute-form target must name the same host and port as the Host field (semantics.md section
// 4).
bool TargetAgrees(const Request& request, const Authority& authority) {
  if (!request.target.has_value()) return true;
  std::string_view target = *request.target;
  const std::string prefix = request.scheme + "://";
  if (!target.starts_with(prefix)) return target.starts_with('/');
  target.remove_prefix(prefix.size());
  const auto named = Authority::Parse(target.substr(0, target.find('/')));
  return named.ok() && named->ToString(request.port) == authority.ToString(request.port);
}

Outcome OfRequest(const Case& c, const EffectivePolicy& policy, RequestScheme scheme,
                  const IpAddress& dialled) {
  if (!c.request.host.has_value()) return {"bad_request", 400};
  const auto authority = Authority::Parse(*c.request.host);
  if (!authority.ok() || !TargetAgrees(c.request, *authority)) return {"bad_request", 400};
  const Verdict verdict = DecideRequest(policy, scheme, authority->host, dialled);
  if (const auto* deny = std::get_if<Deny>(&verdict)) return Denied(policy, *deny);
  if (const auto* to = std::get_if<ToHandler>(&verdict)) {
    if (!c.handlers.contains(to->reference->handler)) return {"deny", 502, "handler_missing"};
    return {"handler", 0, "", "", to->reference};
  }
  // Names resolve to the address that the container dialled.
  const IpAddress& resolved = authority->host.is_address() ? authority->host.address() : dialled;
  if (const auto deny = CheckDialledAddress(policy, resolved, {})) return Denied(policy, *deny);
  return {"egress"};
}

Outcome OfRelay(const EffectivePolicy& policy, const IpAddress& dialled, bool is_denied) {
  if (is_denied || CheckDialledAddress(policy, dialled, {}).has_value()) return {"reset"};
  return {"relay", 0, "", "origin"};
}

Outcome OfTls(const Case& c, const EffectivePolicy& policy, const IpAddress& dialled) {
  Host name = Host::FromAddress(dialled);
  if (c.request.sni.has_value()) {
    const auto sni = Authority::Parse(*c.request.sni);
    if (!sni.ok()) return {"reset"};
    name = sni->host;
  }
  const TlsVerdict verdict = DecideTls(policy, name, dialled);
  if (!std::holds_alternative<Decrypt>(verdict)) {
    return OfRelay(policy, dialled, std::holds_alternative<Deny>(verdict));
  }
  Outcome outcome;
  const auto host = Authority::Parse(c.request.host.value_or(""));
  if (host.ok() && !(host->host == name)) {
    outcome = {"misdirected", 421};
  } else {
    outcome = OfRequest(c, policy, RequestScheme::kHttps, dialled);
  }
  outcome.certificate = "interception";
  return outcome;
}

Outcome Decided(const Case& c, const EffectivePolicy& policy) {
  const IpAddress dialled = *IpAddress::Parse(c.request.dst);
  if (!IsHttpPort(policy, c.request.port)) {
    const auto authority = Authority::Parse(c.request.host.value_or(""));
    const TcpVerdict verdict =
        DecideTcp(policy, dialled, authority.ok() ? &authority->host : nullptr);
    return OfRelay(policy, dialled, std::holds_alternative<Deny>(verdict));
  }
  if (c.request.scheme == "https") return OfTls(c, policy, dialled);
  return OfRequest(c, policy, RequestScheme::kHttp, dialled);
}

void ExpectOutcome(const Case& c, const Outcome& actual) {
  EXPECT_EQ(actual.outcome, c.expect.outcome);
  if (c.expect.status != 0) EXPECT_EQ(actual.status, c.expect.status);
  EXPECT_EQ(actual.reason, c.expect.reason);
  if (!c.expect.certificate.empty()) EXPECT_EQ(actual.certificate, c.expect.certificate);
  ASSERT_EQ(actual.handler != nullptr, !c.expect.handler.empty());
  if (actual.handler == nullptr) return;
  EXPECT_EQ(actual.handler->handler, c.expect.handler);
  if (c.expect.params.has_value()) {
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(actual.handler->params,
                                                                   *c.expect.params));
  }
}

void RunCase(const Case& c) {
  v1::ContainerClass container_class = c.container_class;
  const absl::Status admitted = NormaliseClass(&container_class);
  if (c.expect.outcome == "class_rejected") {
    EXPECT_EQ(absl::StatusCodeToString(admitted.code()), c.expect.code);
    return;
  }
  ASSERT_TRUE(admitted.ok()) << admitted;

  v1::ContainerPolicy container;
  container.set_container_id("c1");
  container.set_class_name(container_class.name());
  const PolicyContext context{container_class, c.handlers};
  for (size_t i = 0; i < c.steps.size(); ++i) {
    const v1::ContainerPolicy before = container;
    const absl::Status applied = ApplyStep(context, c.steps[i], &container);
    if (c.expect.outcome == "rpc_rejected" && static_cast<int>(i) == c.expect.step) {
      EXPECT_EQ(absl::StatusCodeToString(applied.code()), c.expect.code);
      EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(container, before));
      return;
    }
    ASSERT_TRUE(applied.ok()) << c.steps[i].rpc << ": " << applied;
  }
  const auto policy = EffectivePolicy::FromProto(container_class, container, 1);
  ASSERT_TRUE(policy.ok()) << policy.status();
  ExpectOutcome(c, Decided(c, *policy));
}

TEST(ConformanceTest, DecisionEngine) {
  const auto cases = LoadCases("tests/conformance/cases.json");
  ASSERT_TRUE(cases.ok()) << cases.status();
  ASSERT_GE(cases->size(), 100u);
  std::set<std::string> seen;
  for (const Case& c : *cases) {
    SCOPED_TRACE("case " + c.id);
    EXPECT_TRUE(seen.insert(c.id).second) << "two cases of one id";
    if (!NeedsTheWire().contains(c.id)) RunCase(c);
  }
  for (const std::string& id : NeedsTheWire()) EXPECT_TRUE(seen.contains(id)) << id;
}

}  // namespace
}  // namespace sallyport::conformance
