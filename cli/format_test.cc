// What people read of answers and events.

#include <gtest/gtest.h>

#include "cli/apply.h"
#include "cli/explanation.h"
#include "cli/handler_lines.h"
#include "cli/watch_event.h"
#include "common/policy/policy_testing.h"

namespace sallyport::cli {
namespace {

TEST(HandlerLinesTest, SayWhatIsNotByDefault) {
  EXPECT_EQ(HandlerLine(FromText<v1::Handler>("name: 'h' endpoints: 'unix:/h' retries: 0")),
            "h   unix:/h\n");
  EXPECT_EQ(HandlerLine(FromText<v1::Handler>(
                "name: 'h' endpoints: 'http://a:1' endpoints: 'http://b:1' holds_secrets: true "
                "retries: 2 max_concurrency: 8 lease_epoch: 3")),
            "h   http://a:1, http://b:1   holds secrets   2 retries   at most 8 calls a container"
            "   lease epoch 3\n");
}

TEST(HandlerLinesTest, SayHowEndpointsDo) {
  const auto handler =
      FromText<v1::Handler>("name: 'h' endpoints: 'a' endpoints: 'b' endpoints: 'c'");
  const auto usage = FromText<v1::UsageResponse>(R"pb(
    endpoints { handler: "other" endpoint: "c" calls: 1 }
    endpoints {
      handler: "h"
      endpoint: "a"
      calls: 1000
      in_flight: 2
      latency_p50_us: 180
      latency_p99_us: 1234
    }
    endpoints { handler: "h" endpoint: "b" calls: 8 failures: 2 failures_in_a_row: 1 ejections: 3 }
  )pb");
  EXPECT_EQ(EndpointLines(handler, &usage),
            "  a   up   2 in flight, 1000 calls, p50 180 us, p99 1.2 ms\n"
            "  b   failing, 1 in a row   0 in flight, 8 calls, 25.0 % failed, left out 3 times\n"
            "  c   not called yet\n");
  EXPECT_EQ(EndpointLines(handler, nullptr), "");
}

TEST(HandlerLinesTest, SayWhatIsAliveAndHealthy) {
  const auto handler = FromText<v1::Handler>(
      "name: 'h' endpoints: 'a' health_check { service: 's' } live_endpoints { endpoint: 'b' }"
      "live_endpoints { endpoint: 'c' draining: true }");
  EXPECT_EQ(HandlerLine(handler), "h   a   health check of s\n");
  EXPECT_EQ(HandlerLine(FromText<v1::Handler>("name: 'h' health_check {}")),
            "h   live   health check\n");
  EXPECT_EQ(EndpointLines(handler, nullptr), "  b   live\n  c   live, draining\n");
  const auto usage = FromText<v1::UsageResponse>(R"pb(
    endpoints { handler: "h" endpoint: "a" health: "not serving" }
    endpoints { handler: "h" endpoint: "b" calls: 2 health: "serving" }
  )pb");
  EXPECT_EQ(EndpointLines(handler, &usage),
            "  a   health: not serving   not called yet\n"
            "  b   live   health: serving   up   0 in flight, 2 calls\n"
            "  c   live, draining   not called yet\n");
}

TEST(ExplanationTest, SaysWhichStepDecidesAndWhatTheOthersSay) {
  const auto response = FromText<v1::ExplainResponse>(R"pb(
    decision: "handler"
    rule: "class outbound_by_host github.com"
    handler {
      handler: "gh"
      params {
        fields {
          key: "scope"
          value { string_value: "repo:read" }
        }
      }
    }
    handler_registered: true
    decrypted: true
    steps { number: 1 name: "denied_hosts" outcome: PASSES }
    steps {
      number: 4
      name: "class outbound_by_host"
      outcome: HANDLER
      decides: true
      rule: "class outbound_by_host github.com"
      handler { handler: "gh" }
    }
    steps { number: 9 name: "otherwise" outcome: DENIES reason: "no_internet" }
    stored_revision: 42
    enforced_revision: 42
  )pb");
  EXPECT_EQ(
      Format("GET https://github.com/x", response),
      "GET https://github.com/x -> handler gh {\"scope\":\"repo:read\"}\n"
      "decided by step 4, class outbound_by_host: class outbound_by_host github.com\n"
      "decrypted: the request inside is decided\n"
      "policy: revision 42 stored, 42 enforced\n"
      "\n"
      "     step                      says                 rule\n"
      "     1 denied_hosts            -\n"
      "  >  4 class outbound_by_host  handler gh           class outbound_by_host github.com\n"
      "     9 otherwise               denies: no_internet\n");
}

TEST(ExplanationTest, SaysWhatIsAmiss) {
  const auto response = FromText<v1::ExplainResponse>(R"pb(
    decision: "handler"
    handler { handler: "gone" }
    would_deny: "not_allowed"
    stored_revision: 7
    enforced_revision: 5)pb");
  const std::string text = Format("GET http://a.com/", response);
  for (const char* part :
       {"502 handler_missing", "it would be denied: not_allowed", "an older policy may decide"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
  EXPECT_EQ(text.find("decrypted"), std::string::npos) << text;
}

TEST(WatchEventTest, ALineEach) {
  WatchFormatter formatter;
  const auto line = [&](const std::string& event) {
    return formatter.Line(FromText<v1::WatchResponse>(event));
  };
  EXPECT_EQ(line("updated { revision: 3 class { name: 'c' enable_internet: false monitor: true "
                 "allowed_hosts { hosts: 'a' } } }"),
            "class c   internet off, monitor, 1 allowed, 0 rules   revision 3");
  EXPECT_EQ(line("updated { revision: 4 container { container_id: 'i' class_name: 'c' } }"),
            "container i   class c, 0 rules   revision 4");
  EXPECT_EQ(line("updated { revision: 5 handler { name: 'h' endpoints: 'grpc://127.0.0.1:1' } }"),
            "handler h   grpc://127.0.0.1:1   revision 5");
  EXPECT_EQ(line("removed { kind: RESOURCE_KIND_CLASS name: 'c' }"), "class c   deleted");
  EXPECT_EQ(line("placed { container_id: 'i' host: 'host-7' }"), "container i   on host-7");
  EXPECT_EQ(line("placed { container_id: 'i' }"), "container i   attached nowhere");
  EXPECT_EQ(line("enforced { host: 'h7' revision: 9 connected: true }"),
            "host h7   enforces revision 9");
  EXPECT_EQ(line("enforced { host: 'h7' revision: 9 rejected { key { kind: RESOURCE_KIND_CONTAINER "
                 "name: 'i' } reason: 'too large' } }"),
            "host h7   enforces revision 9, is not connected; refuses container i: too large");
  EXPECT_EQ(line("in_sync: 9"), "as of revision 9; changes follow");
  EXPECT_EQ(line("in_sync: 10"), "");
}

TEST(ApplyTest, RefusalsPointIntoTheFile) {
  const auto file = ParsePolicyFile(
      "classes:\n  a: {}\n  b:\n    outbound: { handler: gone }\ncontainers:\n  i: { class: a }\n",
      "p.yaml");
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(WithPlaces(*file,
                       "classes[1].outbound.handler: no such handler\n"
                       "containers[0].class_name: is of another class\nclasses[7]: ?\nelse: x"),
            "p.yaml:4:26: classes[1].outbound.handler: no such handler\n"
            "p.yaml:6:15: containers[0].class_name: is of another class\nclasses[7]: ?\nelse: x");
}

}  // namespace
}  // namespace sallyport::cli
