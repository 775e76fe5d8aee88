#include "cli/policy/policy_file.h"

#include <gtest/gtest.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace sallyport::cli {
namespace {

constexpr char kWhole[] = R"(
handlers:
  authenticated-github: { endpoint: "grpc://127.0.0.1:7070", timeout: 5s, holds_secrets: true }
classes:
  untrusted-agent:
    enable_internet: false
    intercept_https: true
    allowed_hosts: ["*.pkgs.example", "github.com"]
    denied_hosts: []
    outbound_by_host:
      - { host: "github.com", handler: authenticated-github, params: { scope: "repo:read", depth: 2, name: "7" } }
    outbound: { handler: authenticated-github }
    tls_passthrough_hosts: ["*.bank.example"]
containers:
  web-1: { class: untrusted-agent, outbound_by_host: [{ host: "api.example", handler: authenticated-github }] }
)";

TEST(PolicyFileTest, ReadsEverything) {
  const absl::StatusOr<PolicyFile> file = ParsePolicyFile(kWhole, "agent.yaml");
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(file->handlers.size(), 1u);
  EXPECT_EQ(file->handlers[0].value.timeout().seconds(), 5);
  EXPECT_TRUE(file->handlers[0].value.holds_secrets());
  ASSERT_EQ(file->classes.size(), 1u);
  const v1::ContainerClass& value = file->classes[0].value;
  EXPECT_EQ(value.name(), "untrusted-agent");
  EXPECT_TRUE(value.has_enable_internet());
  EXPECT_FALSE(value.enable_internet());
  EXPECT_EQ(value.allowed_hosts().hosts_size(), 2);
  EXPECT_TRUE(value.has_denied_hosts());
  EXPECT_EQ(value.denied_hosts().hosts_size(), 0);
  const auto& params = value.outbound_by_host(0).handler().params().fields();
  EXPECT_EQ(params.at("scope").string_value(), "repo:read");
  EXPECT_EQ(params.at("depth").number_value(), 2);
  EXPECT_EQ(params.at("name").string_value(), "7");
  ASSERT_EQ(file->containers.size(), 1u);
  EXPECT_EQ(file->containers[0].value.class_name(), "untrusted-agent");
}

struct ErrorCase {
  std::string name;
  std::string text;
  std::string message;
};

class PolicyFileErrorTest : public testing::TestWithParam<ErrorCase> {};

TEST_P(PolicyFileErrorTest, SaysWhereAndWhat) {
  const absl::StatusOr<PolicyFile> file = ParsePolicyFile(GetParam().text, "a.yaml");
  ASSERT_EQ(file.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(std::string(file.status().message()).find(GetParam().message), std::string::npos)
      << file.status();
}

INSTANTIATE_TEST_SUITE_P(
    All, PolicyFileErrorTest,
    testing::Values(
        ErrorCase{"empty", "", "a.yaml:1:1: the file is empty"},
        ErrorCase{"unknown_key", "classes:\n  a:\n    allowed_host: [x]\n",
                  "a.yaml:3:5: a class has no field `allowed_host`; did you mean `allowed_hosts`?"},
        ErrorCase{"unknown_part", "class: {}\n", "did you mean `classes`?"},
        ErrorCase{"not_boolean", "classes:\n  a:\n    enable_internet: maybe\n",
                  "a.yaml:3:22: expected true or false"},
        ErrorCase{"quoted_boolean", "classes:\n  a:\n    enable_internet: 'false'\n",
                  "a.yaml:3:22: expected true or false"},
        ErrorCase{"not_a_list", "classes:\n  a:\n    allowed_hosts: x\n",
                  "a.yaml:3:20: expected a list"},
        // All entries commented out: whoever wrote that may mean nothing or everything.
        ErrorCase{"no_list", "classes:\n  a:\n    allowed_hosts:\n",
                  "a.yaml:3:5: expected a list; write [] for the empty one"},
        ErrorCase{"no_class", "classes:\n  a:\n", "a.yaml:2:3: a class must be a mapping"},
        ErrorCase{"duplicate_key",
                  "classes:\n  a:\n    allowed_hosts: [a.com]\n    allowed_hosts: ['*']\n",
                  "a.yaml:4:5: the key `allowed_hosts` is there already, in line 3"},
        ErrorCase{"duplicate_class", "classes:\n  a: {}\n  a: {}\n",
                  "a.yaml:3:3: the key `a` is there already"},
        ErrorCase{"rule_without_handler", "classes:\n  a:\n    outbound_by_host: [{host: x}]\n",
                  "a.yaml:3:24: a rule needs `host` and `handler`"},
        ErrorCase{"duration", "handlers:\n  h: {endpoint: e, timeout: 5}\n",
                  "a.yaml:2:29: expected a duration"},
        ErrorCase{"container_without_class", "containers:\n  c: {}\n",
                  "a.yaml:2:6: a container needs `class`"},
        ErrorCase{"syntax", "classes: [", "a.yaml:"},
        ErrorCase{"builtin", "handlers:\n  h: {builtin: {}}\n",
                  "a.yaml:2:16: builtin: does nothing"},
        ErrorCase{"builtin_method", "handlers:\n  h: { builtin: { allow_methods: [GET, head] } }\n",
                  "builtin.allow_methods[1]: \"head\" is matched as it is; write HEAD"},
        ErrorCase{"builtin_header", "handlers:\n  h: { builtin: { set_headers: { Host: x } } }\n",
                  "a.yaml:2:34: builtin.set_headers[0].name: host is where the request goes"},
        ErrorCase{"builtin_endpoint",
                  "handlers:\n  h: { endpoint: 'grpc://a:1', builtin: { scheme: https } }\n",
                  "endpoints: a builtin asks no service"},
        ErrorCase{"nowhere", "handlers:\n  h: { timeout: 1s }\n",
                  "a.yaml:2:6: where is it? write `endpoint`, `endpoints`, `builtin`, or `live: "},
        ErrorCase{"no_endpoints", "handlers:\n  h: { endpoints: [] }\n",
                  "a.yaml:2:6: where is it?"},
        ErrorCase{"live_endpoint", "handlers:\n  h: { live: true, endpoint: 'grpc://a:1' }\n",
                  "a.yaml:2:6: `live: true` is for a handler without endpoints of its own"},
        ErrorCase{"health_of_web", "handlers:\n  h: { endpoint: 'http://a:1', health_check: {} }\n",
                  "a.yaml:2:46: health_check: is for gRPC"},
        ErrorCase{"health_interval",
                  "handlers:\n  h: { live: true, health_check: { interval: 1ms } }\n",
                  "a.yaml:2:46: health_check.interval: must be whole milliseconds from 100 ms"},
        ErrorCase{"digits", "classes: {a: {outbound: {handler: h, params: {n: 9007199254740993}}}}",
                  "a.yaml:1:50: has more digits than a JSON number carries"},
        // What the control plane would say of values.
        ErrorCase{"pattern",
                  "classes:\n  a:\n    allowed_hosts:\n    - a.com\n    - https://b.com\n",
                  "a.yaml:5:7: allowed_hosts[1]: "},
        ErrorCase{"rule_pattern",
                  "classes:\n  a:\n    outbound_by_host:\n    - { host: .b.com, handler: h }\n",
                  "a.yaml:4:15: outbound_by_host[0].host: "},
        ErrorCase{"handler_name",
                  "classes:\n  a:\n    outbound_by_host:\n    - { host: b.com, handler: h h }\n",
                  "a.yaml:4:31: outbound_by_host[0].handler.handler: "},
        ErrorCase{"class_name", "classes:\n  a b: {}\n", "a.yaml:2:3: name: "},
        ErrorCase{"class_of_container", "containers:\n  c: { class: a b }\n",
                  "a.yaml:2:15: class_name: "},
        ErrorCase{"endpoint", "handlers:\n  h: { endpoint: 'http:a' }\n",
                  "a.yaml:2:18: endpoints[0]: "},
        ErrorCase{"edits",
                  "containers:\n  c: { class: a, allowed_hosts: { added: [a.com, 'b c'] } }\n",
                  "a.yaml:2:50: allowed_hosts.added[1]: "},
        ErrorCase{
            "intercept",
            "containers:\n  c: { class: a, intercepts: [{ scheme: ftp, target: a, handler: h }] }",
            "a.yaml:2:41: scheme is http or https"},
        ErrorCase{"deny_status", "classes: { a: { deny_response: { status: 200 } } }",
                  "a.yaml:1:42: deny_response.status: "},
        ErrorCase{"port", "classes: { a: { http_ports: [80, 65536] } }",
                  "a.yaml:1:34: http_ports[1]: "}),
    [](const auto& info) { return info.param.name; });

// One line of each: nothing hides another, and nothing is said twice.
TEST(PolicyFileTest, SaysAllProblems) {
  const auto file = ParsePolicyFile(R"(handlers:
  h: { endpoint: "ftp://x", timeut: 5s }
classes:
  a: { monitor: 1, allowed: [], denied_hosts: ["a b"] }
  b: { allowed_hosts: [a.com, x:1, [y]], outbound_by_host: [{ host: z.com }] }
containers:
  c: { outbound: { handlr: h }, intercepts: [{ scheme: ftp, target: "?", handler: h }] }
)",
                                    "p");
  std::string places;
  for (const absl::string_view line : absl::StrSplit(file.status().message(), '\n'))
    absl::StrAppend(&places, line.substr(0, line.find(": ")), " ");
  EXPECT_EQ(
      places,
      "p:2:18 p:2:29 p:4:17 p:4:20 p:4:48 p:5:31 p:5:36 p:5:61 p:7:6 p:7:18 p:7:20 p:7:56 p:7:69 ")
      << file.status();
}

TEST(PolicyFileTest, KnowsNumbersFromText) {
  const auto file = ParsePolicyFile(
      "classes: { a: { outbound: { handler: h, params: { a: 1.5, b: '1.5', c: no, d: 1.2.3, e: "
      "[null, ~, True, -3e2], f: .inf, g: 9007199254740992 } } } }",
      "a.yaml");
  ASSERT_TRUE(file.ok()) << file.status();
  const auto& params = file->classes[0].value.outbound().params().fields();
  EXPECT_EQ(params.at("a").number_value(), 1.5);
  EXPECT_EQ(params.at("b").string_value(), "1.5");
  EXPECT_EQ(params.at("c").string_value(), "no");
  EXPECT_EQ(params.at("d").string_value(), "1.2.3");
  EXPECT_TRUE(params.at("e").list_value().values(1).has_null_value());
  EXPECT_TRUE(params.at("e").list_value().values(2).bool_value());
  EXPECT_EQ(params.at("e").list_value().values(3).number_value(), -300);
  EXPECT_EQ(params.at("f").string_value(), ".inf");
  EXPECT_EQ(params.at("g").number_value(), 9007199254740992.0);
}

// A file of its own for the tests that need one.
std::string FileOf(const std::string& name, const std::string& text) {
  const std::string path = testing::TempDir() + "/" + name;
  std::ofstream(path) << text;
  return path;
}

TEST(PolicyFileTest, SeveralFilesAreOne) {
  const std::string a = FileOf("a.yaml", "classes: { a: {} }");
  const std::string b = FileOf("b.yaml", "classes:\n  b: {}\n");
  const std::string again = FileOf("again.yaml", "classes: { b: { monitor: true } }");
  const auto file = ReadPolicyFiles({a, b});
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->classes.size(), 2u);
  const auto twice = ReadPolicyFiles({a, b, again});
  EXPECT_EQ(std::string(twice.status().message()),
            again + ":1:12: the class b is in " + b + ":2:3 already");
  EXPECT_EQ(ReadPolicyFiles({a, "/none.yaml"}).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace sallyport::cli
