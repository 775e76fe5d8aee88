#include "cli/policy_file.h"

#include <gtest/gtest.h>

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
  EXPECT_EQ(file->handlers[0].timeout().seconds(), 5);
  EXPECT_TRUE(file->handlers[0].holds_secrets());
  ASSERT_EQ(file->classes.size(), 1u);
  const v1::ContainerClass& value = file->classes[0];
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
  EXPECT_EQ(file->containers[0].class_name(), "untrusted-agent");
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
        ErrorCase{"empty", "", "a.yaml:"},
        ErrorCase{"unknown_key", "classes:\n  a:\n    allowed_host: [x]\n",
                  "a.yaml:3:5: a class has no field `allowed_host`"},
        ErrorCase{"not_boolean", "classes:\n  a:\n    enable_internet: maybe\n",
                  "a.yaml:3:22: expected true or false"},
        ErrorCase{"not_a_list", "classes:\n  a:\n    allowed_hosts: x\n",
                  "a.yaml:3:20: expected a list"},
        ErrorCase{"rule_without_handler", "classes:\n  a:\n    outbound_by_host: [{host: x}]\n",
                  "a rule needs `host` and `handler`"},
        ErrorCase{"duration", "handlers:\n  h: {endpoint: e, timeout: 5}\n", "expected a duration"},
        ErrorCase{"container_without_class", "containers:\n  c: {}\n", "a container needs `class`"},
        ErrorCase{"syntax", "classes: [", "a.yaml:"},
        ErrorCase{"builtin", "handlers:\n  h: {builtin: {}}\n",
                  "a handler has no field `builtin`"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace sallyport::cli
