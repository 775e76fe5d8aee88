#include "common/policy/effective_policy.h"

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "common/policy/handler_spec.h"
#include "common/policy/policy_testing.h"
#include "common/policy/validate.h"

namespace sallyport {
namespace {

using google::protobuf::util::MessageDifferencer;

absl::Status ClassStatus(const std::string& fields) {
  auto c = FromText<v1::ContainerClass>(fields);
  const v1::ContainerClass before = c;
  const absl::Status status = NormaliseClass(&c);
  if (!status.ok()) EXPECT_TRUE(MessageDifferencer::Equals(c, before));
  return status;
}

absl::Status ContainerStatus(const std::string& fields) {
  auto c = FromText<v1::ContainerPolicy>(fields);
  return NormaliseContainer(&c);
}

TEST(NormaliseClassTest, WritesEverythingInCanonicalForm) {
  auto c = FromText<v1::ContainerClass>(
      "name: 'c' allowed_hosts { hosts: 'A.com.' hosts: 'a.com' hosts: '**.b.com' }"
      "denied_hosts { hosts: '203.0.113.7/32' }"
      "outbound_by_host { host: 'M\xc3\xbcnchen.de' handler { handler: 'h' } }"
      "outbound_handlers { names: 'h' names: 'g' names: 'h' }"
      "tls_passthrough_hosts: 'X.com' http_ports: 80 http_ports: 8080 http_ports: 80");
  ASSERT_TRUE(NormaliseClass(&c).ok());
  const auto expected = FromText<v1::ContainerClass>(
      "name: 'c' allowed_hosts { hosts: 'a.com' hosts: '*.b.com' }"
      "denied_hosts { hosts: '203.0.113.7' }"
      "outbound_by_host { host: 'xn--mnchen-3ya.de' handler { handler: 'h' } }"
      "outbound_handlers { names: 'h' names: 'g' }"
      "tls_passthrough_hosts: 'x.com' http_ports: 80 http_ports: 8080");
  EXPECT_TRUE(MessageDifferencer::Equals(c, expected)) << c.DebugString();
}

TEST(NormaliseClassTest, ErrorsNameTheField) {
  struct {
    const char* fields;
    const char* message;
  } cases[] = {
      {"", "name: is empty"},
      {"name: '-c'", "name: \"-c\" must be letters"},
      {"name: 'c c'", "name:"},
      {"name: 'c/d'", "name:"},
      {"name: 'c' allowed_hosts { hosts: 'a.com' hosts: 'b.com' hosts: 'https://x' }",
       "allowed_hosts[2]: \"https://x\" has a scheme"},
      {"name: 'c' denied_hosts { hosts: '.evil.com' }", "denied_hosts[0]: \".evil.com\""},
      {"name: 'c' tls_passthrough_hosts: ''", "tls_passthrough_hosts[0]:"},
      {"name: 'c' outbound_by_host { host: 'a b' handler { handler: 'h' } }",
       "outbound_by_host[0].host:"},
      {"name: 'c' outbound_by_host { host: 'a' }", "outbound_by_host[0].handler.handler: is empty"},
      {"name: 'c' outbound_by_host { host: 'a' handler { handler: 'h' } }"
       " outbound_by_host { host: 'A.' handler { handler: 'g' } }",
       "outbound_by_host[1].host: \"a\" has a rule already"},
      {"name: 'c' outbound {}", "outbound.handler: is empty"},
      {"name: 'c' outbound { handler: 'h' params { fields { key: 'k' value {} } } }", "write null"},
      {"name: 'c' outbound { handler: 'h' params { fields { key: 'k' value { number_value: inf } } "
       "} }",
       "number that JSON cannot carry"},
      {"name: 'c' outbound_handlers { names: 'h' names: '' }", "outbound_handlers[1]: is empty"},
      {"name: 'c' deny_response { status: 399 }", "deny_response.status"},
      {"name: 'c' deny_response { status: 600 }", "deny_response.status"},
      {"name: 'c' deny_response { content_type: 'a\\r\\nb: c' }", "deny_response.content_type"},
      {"name: 'c' http_ports: 0", "http_ports[0]"},
      {"name: 'c' http_ports: 80 http_ports: 65536", "http_ports[1]"},
  };
  for (const auto& c : cases) ExpectMessage(ClassStatus(c.fields), c.message);
}

TEST(NormaliseClassTest, Limits) {
  v1::ContainerClass c;
  c.set_name("c");
  for (int i = 0; i < kMaxPatterns; ++i) {
    c.mutable_allowed_hosts()->add_hosts("*.h" + std::to_string(i));
    c.mutable_allowed_hosts()->add_hosts("h" + std::to_string(i));
  }
  EXPECT_TRUE(NormaliseClass(&c).ok());
  c.mutable_allowed_hosts()->add_hosts("*.h0");  // A duplicate does not count.
  EXPECT_TRUE(NormaliseClass(&c).ok());
  c.mutable_allowed_hosts()->add_hosts("*.one.more");
  ExpectMessage(NormaliseClass(&c), "allowed_hosts: has more than 1000");

  c.clear_allowed_hosts();
  c.mutable_deny_response()->set_body(std::string(kMaxDenyBody, 'x'));
  EXPECT_TRUE(NormaliseClass(&c).ok());
  c.mutable_deny_response()->set_body(std::string(kMaxDenyBody + 1, 'x'));
  ExpectMessage(NormaliseClass(&c), "deny_response.body");

  c.clear_deny_response();
  for (int port = 1; port <= 64; ++port) c.add_http_ports(port);
  EXPECT_TRUE(NormaliseClass(&c).ok());
  c.add_http_ports(65);
  ExpectMessage(NormaliseClass(&c), "http_ports");
}

TEST(ValidateParamsTest, SizeCountsAsJsonAndDepthIsBounded) {
  google::protobuf::Struct params;
  auto& value = (*params.mutable_fields())["k"];
  value.set_string_value(std::string(64 * 1024 - 8, 'x'));  // {"k":"…"}
  EXPECT_TRUE(ValidateParams("params", params).ok());
  value.set_string_value(std::string(64 * 1024 - 7, 'x'));
  ExpectMessage(ValidateParams("params", params), "64 KiB");
  // Escaped, this is longer as JSON than on the wire.
  value.set_string_value(std::string(20 * 1024, '\x01'));
  ExpectMessage(ValidateParams("params", params), "64 KiB");
  // And this is shorter.
  value.clear_string_value();
  for (int i = 0; i < 20'000; ++i) value.mutable_list_value()->add_values()->set_number_value(0);
  EXPECT_TRUE(ValidateParams("params", params).ok());

  value.Clear();
  auto* inner = &value;
  for (int i = 0; i < 70; ++i) inner = inner->mutable_list_value()->add_values();
  inner->set_bool_value(true);
  ExpectMessage(ValidateParams("params", params), "nested");
}

TEST(NormaliseContainerTest, ErrorsNameTheField) {
  const std::string ok = "container_id: 'i' class_name: 'c' ";
  EXPECT_TRUE(ContainerStatus("container_id: 'pod-1:a.b_c' class_name: 'c'").ok());
  ExpectMessage(ContainerStatus("class_name: 'c'"), "container_id: is empty");
  ExpectMessage(ContainerStatus("container_id: ':a' class_name: 'c'"), "container_id:");
  ExpectMessage(ContainerStatus("container_id: 'a\\n' class_name: 'c'"), "container_id:");
  ExpectMessage(ContainerStatus("container_id: '" + std::string(129, 'a') + "' class_name: 'c'"),
                "128 bytes");
  ExpectMessage(ContainerStatus("container_id: 'i'"), "class_name: is empty");
  ExpectMessage(ContainerStatus(ok + "allowed_hosts { replace {} added: 'a' }"),
                "allowed_hosts: has both");
  ExpectMessage(ContainerStatus(ok + "denied_hosts { added: 'a' added: 'a:1' }"),
                "denied_hosts.added[1]:");
  ExpectMessage(ContainerStatus(ok + "denied_hosts { removed: '' }"), "denied_hosts.removed[0]:");
  ExpectMessage(ContainerStatus(ok + "denied_hosts { replace { hosts: '/' } }"),
                "denied_hosts.replace[0]:");
  ExpectMessage(ContainerStatus(ok + "intercepts { target: '*' handler { handler: 'h' } }"),
                "intercepts[0].scheme:");
  const std::string intercept =
      "intercepts { scheme: SCHEME_HTTP target: '*' handler { handler: 'h' } } ";
  EXPECT_TRUE(ContainerStatus(ok + intercept).ok());
  ExpectMessage(ContainerStatus(ok + intercept + intercept), "intercepts[1].target:");
}

TEST(EffectivePolicyTest, DefaultsAndOverrides) {
  const EffectivePolicy plain = Given("");
  EXPECT_TRUE(plain.enable_internet);
  EXPECT_FALSE(plain.intercept_https);
  EXPECT_FALSE(plain.allowed_hosts.has_value());
  EXPECT_EQ(plain.deny_response.status, 520);
  EXPECT_EQ(plain.deny_response.body, "Origin is disallowed");
  EXPECT_EQ(plain.http_ports, (std::vector<uint16_t>{80, 443}));
  const EffectivePolicy set = Given(
      "intercept_https: true deny_response { status: 403 content_type: 'text/html' body: '' }",
      "enable_internet: false");
  EXPECT_FALSE(set.enable_internet);
  EXPECT_TRUE(set.intercept_https);
  EXPECT_EQ(set.deny_response.status, 403);
  EXPECT_EQ(set.deny_response.content_type, "text/html");
  EXPECT_EQ(set.deny_response.body, "");
}

TEST(EffectivePolicyTest, TheContainerMustBeOfTheClass) {
  const auto policy = EffectivePolicy::FromProto(
      FromText<v1::ContainerClass>("name: 'c'"),
      FromText<v1::ContainerPolicy>("container_id: 'i' class_name: 'd'"), 1);
  ExpectMessage(policy.status(), "class_name:");
}

TEST(EffectiveListTest, PutsClassAndContainerTogether) {
  // Absent: "-".
  const auto effective = [](const std::string& of_class, const std::string& of_container) {
    const auto list = FromText<v1::HostList>(of_class == "-" ? "" : of_class);
    const auto edits = FromText<v1::HostListOverride>(of_container == "-" ? "" : of_container);
    const auto out =
        EffectiveList(of_class == "-" ? nullptr : &list, of_container == "-" ? nullptr : &edits);
    if (!out.has_value()) return std::string("-");
    std::string text;
    for (const std::string& host : out->hosts()) text += host + " ";
    return text;
  };
  EXPECT_EQ(effective("-", "-"), "-");
  EXPECT_EQ(effective("-", ""), "-");
  EXPECT_EQ(effective("", "-"), "");
  EXPECT_EQ(effective("hosts: 'a' hosts: 'b'", "-"), "a b ");
  EXPECT_EQ(effective("hosts: 'a' hosts: 'b'", "added: 'c' added: 'a' removed: 'b'"), "a c ");
  EXPECT_EQ(effective("hosts: 'a'", "replace {}"), "");
  EXPECT_EQ(effective("hosts: 'a'", "replace { hosts: 'b' }"), "b ");
  EXPECT_EQ(effective("-", "added: 'a'"), "a ");
  // The container once had edits: no list may come to mean no restriction.
  EXPECT_EQ(effective("-", "removed: 'a'"), "");
  EXPECT_EQ(effective("hosts: 'a'", "removed: 'z'"), "a ");
}

TEST(NormaliseHandlerTest, FillsDefaultsAndNamesFields) {
  auto handler = FromText<v1::Handler>(
      "name: 'h' endpoints: 'GRPC://Handler.Test:50051' endpoints: 'grpc://handler.test.:50051'"
      " endpoints: 'grpc://[2001:DB8::1]:1'");
  ASSERT_TRUE(NormaliseHandler(&handler).ok());
  EXPECT_TRUE(MessageDifferencer::Equals(
      handler, FromText<v1::Handler>("name: 'h' endpoints: 'grpc://handler.test:50051'"
                                     " endpoints: 'grpc://[2001:db8::1]:1'"
                                     " timeout { seconds: 30 } on_failure: ON_FAILURE_DENY")))
      << handler.DebugString();
  struct {
    const char* fields;
    const char* message;
  } cases[] = {
      {"endpoints: 'grpc://h:1'", "name: is empty"},
      {"name: 'h' endpoints: ''", "endpoints[0]:"},
      {"name: 'h' endpoints: 'http://h:1' health_check {}",
       "health_check: is for gRPC (grpc.health.v1), and \"http://h:1\" is a web server"},
      {"name: 'h' health_check { interval { nanos: 99000000 } }",
       "health_check.interval: must be whole milliseconds from 100 ms to 10 min"},
      {"name: 'h' health_check { timeout { seconds: 61 } }",
       "health_check.timeout: must be whole milliseconds from 1 ms to 1 min"},
      {"name: 'h' endpoints: 'h:1'", "endpoints[0]: \"h:1\" is not of a known form"},
      {"name: 'h' endpoints: 'grpc://h:1' endpoints: 'http://h:1'",
       "endpoints[1]: \"http://h:1\" speaks HTTP, those before it speak gRPC; register two"},
      {"name: 'h' endpoints: 'http+unix:/h' endpoints: 'unix:/h'", "endpoints[1]:"},
      {"name: 'h' endpoints: 'grpc://h:1' connect_timeout {}", "connect_timeout:"},
      {"name: 'h' endpoints: 'grpc://h:1' connect_timeout { seconds: 61 }",
       "connect_timeout: must be whole milliseconds from 1 ms to 1 min"},
      {"name: 'h' endpoints: 'grpc://h:1' retries: 6", "retries: is 6; write 0 to 5"},
      {"name: 'h' endpoints: 'grpc://h:1' max_concurrency: 1000001", "max_concurrency:"},
      {"name: 'h' endpoints: 'grpc://h:1' timeout {}", "timeout:"},
      {"name: 'h' endpoints: 'grpc://h:1' timeout { seconds: -1 }", "timeout:"},
      {"name: 'h' endpoints: 'grpc://h:1' timeout { seconds: 601 }", "timeout:"},
      {"name: 'h' endpoints: 'grpc://h:1' timeout { seconds: 600 nanos: 1000000 }", "timeout:"},
      {"name: 'h' endpoints: 'grpc://h:1' timeout { nanos: 999999 }", "timeout:"},
      {"name: 'h' endpoints: 'grpc://h:1' timeout { seconds: 9223372036854775807 }", "timeout:"},
      {"name: 'h' endpoints: 'grpc://h:1' on_failure: ON_FAILURE_EGRESS holds_secrets: true",
       "on_failure: a handler that holds secrets may not fail open"},
      {"name: 'h' endpoints: 'grpc://h:1' on_failure: 7", "on_failure:"},
  };
  for (const auto& c : cases) {
    auto bad = FromText<v1::Handler>(c.fields);
    ExpectMessage(NormaliseHandler(&bad), c.message);
  }
}

TEST(HandlerSpecTest, IsParsed) {
  const auto spec = HandlerSpec::FromProto(
      FromText<v1::Handler>("name: 'h' endpoints: 'grpc://[2001:db8::1]:50051'"
                            " endpoints: 'grpc://127.0.0.1:1' timeout { nanos: 1000000 }"
                            " on_failure: ON_FAILURE_EGRESS connect_timeout { seconds: 1 }"
                            " retries: 2 max_concurrency: 7 lease_epoch: 3"),
      9);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->endpoints[0].host, "2001:db8::1");
  EXPECT_EQ(spec->endpoints[0].port, 50051);
  EXPECT_EQ(spec->endpoints[1].host, "127.0.0.1");
  EXPECT_EQ(spec->protocol, HandlerEndpoint::Protocol::kGrpc);
  EXPECT_EQ(spec->timeout_ms, 1);
  EXPECT_EQ(spec->connect_timeout_ms, 1000);
  EXPECT_EQ(spec->retries, 2);
  EXPECT_EQ(spec->max_concurrency, 7);
  EXPECT_EQ(spec->lease_epoch, 3u);
  EXPECT_TRUE(spec->egress_on_failure);
  EXPECT_EQ(spec->revision, 9u);
  EXPECT_FALSE(spec->health_check.has_value());
}

TEST(HandlerSpecTest, LiveEndpointsAreEndpointsUntilTheyDrain) {
  const auto spec = HandlerSpec::FromProto(
      FromText<v1::Handler>("name: 'h' endpoints: 'grpc://a:1' health_check { service: 's' }"
                            " live_endpoints { endpoint: 'grpc://b:1' }"
                            " live_endpoints { endpoint: 'grpc://c:1' draining: true }"
                            " live_endpoints { endpoint: 'grpc://a:1' draining: true }"),
      9);
  ASSERT_TRUE(spec.ok()) << spec.status();
  ASSERT_EQ(spec->endpoints.size(), 2u) << "what the operator registered drains by nobody's word";
  EXPECT_EQ(spec->endpoints[0].text, "grpc://a:1");
  EXPECT_EQ(spec->endpoints[1].text, "grpc://b:1");
  EXPECT_EQ(spec->draining, std::vector<std::string>{"grpc://c:1"});
  EXPECT_EQ(*spec->health_check, (HealthCheckSpec{"s", 5'000, 1'000}));
}

TEST(HandlerSpecTest, ServicesMayBeAllThatItHas) {
  const auto none = HandlerSpec::FromProto(FromText<v1::Handler>("name: 'h'"), 9);
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_TRUE(none->endpoints.empty());
  const auto web = HandlerSpec::FromProto(
      FromText<v1::Handler>("name: 'h' live_endpoints { endpoint: 'http://a:1' }"), 9);
  ASSERT_TRUE(web.ok()) << web.status();
  EXPECT_EQ(web->protocol, HandlerEndpoint::Protocol::kHttp);
  for (const char* bad : {"endpoints: 'grpc://a:1' live_endpoints { endpoint: 'http://a:1' }",
                          "builtin { scheme: 'https' } live_endpoints { endpoint: 'http://a:1' }",
                          "health_check {} live_endpoints { endpoint: 'http://a:1' }",
                          "live_endpoints { endpoint: 'x' }"}) {
    EXPECT_FALSE(
        HandlerSpec::FromProto(FromText<v1::Handler>(std::string("name: 'h' ") + bad), 9).ok())
        << bad;
  }
}

}  // namespace
}  // namespace sallyport
