#include "agent/attach/oci/hook_input.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sallyport::agent {
namespace {

using testing::HasSubstr;

constexpr char kCreating[] =
    R"({"ociVersion":"1.0.2","id":"0123","status":"creating","pid":4711,"bundle":"/b",
        "annotations":{"sallyport.class":"agent"}})";
constexpr char kConfig[] =
    R"({"ociVersion":"1.0.2","process":{"args":["sh"],"env":["PATH=/bin","PIP_CERT=/mine"],
        "rlimits":[{"hard":18446744073709551615}]},
        "root":{"path":"rootfs"},"annotations":{"sallyport.class":"agent"}})";

std::string ErrorOf(std::string_view json) {
  return std::string(ParseHookInput(json).status().message());
}

TEST(HookInputTest, AStateOfOneThatIsBeingCreated) {
  const HookInput input = ParseHookInput(kCreating).value();
  EXPECT_EQ(input.stage, HookStage::kCreateRuntime);
  EXPECT_EQ(input.id, "0123");
  EXPECT_EQ(input.pid, 4711);
  EXPECT_EQ(input.bundle, "/b");
  EXPECT_EQ(input.annotations.at("sallyport.class"), "agent");
}

TEST(HookInputTest, AStateOfOneThatHasStopped) {
  const HookInput input =
      ParseHookInput(R"({"id":"0123","status":"stopped","bundle":"/b"})").value();
  EXPECT_EQ(input.stage, HookStage::kPoststop);
  EXPECT_TRUE(input.annotations.empty());
}

TEST(HookInputTest, AConfiguration) {
  const HookInput input = ParseHookInput(kConfig).value();
  EXPECT_EQ(input.stage, HookStage::kPrecreate);
  EXPECT_EQ(input.annotations.at("sallyport.class"), "agent");
}

TEST(HookInputTest, OneThatRunsIsTooLate) {
  EXPECT_THAT(ErrorOf(R"({"id":"a","status":"running","pid":1,"bundle":"/b"})"),
              HasSubstr("createRuntime"));
}

TEST(HookInputTest, AnythingElseIsRefused) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("not a JSON object"));
  EXPECT_THAT(ErrorOf("[]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(ErrorOf("{}"), HasSubstr("neither"));
  EXPECT_THAT(ErrorOf(R"({"status":"creating","pid":1,"bundle":"/b"})"), HasSubstr("\"id\""));
  for (const std::string pid : {"0", "-1", "\"1\"", "4294967297", "1.5"}) {
    EXPECT_THAT(ErrorOf(R"({"id":"a","status":"creating","bundle":"/b","pid":)" + pid + "}"),
                HasSubstr("pid"))
        << pid;
  }
  EXPECT_THAT(ErrorOf(R"({"status":"stopped","annotations":{"a":1}})"), HasSubstr("annotation"));
}

TEST(HookInputTest, PodmansUserNamespacesGetTheirNetworkLater) {
  const auto check = [](const std::string& type) {
    return CheckNetworkIsFinal(R"({"linux":{"namespaces":[{"type":"network"},{"type":")" + type +
                               R"("}]}})")
        .code();
  };
  EXPECT_EQ(check("mount"), absl::StatusCode::kOk);
  EXPECT_EQ(check("user"), absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(CheckNetworkIsFinal("{}").ok());
}

TEST(HookInputTest, WhoeverMayAdministerNetworksIsNotRouted) {
  const auto check = [](const std::string& sets, const std::string& type) {
    return CheckMayBeRouted(R"({"process":{"capabilities":)" + sets +
                            R"(},"linux":{"namespaces":[{"type":")" + type + R"("}]}})")
        .code();
  };
  const std::string with = R"({"effective":["CAP_KILL"],"bounding":["CAP_KILL","CAP_NET_ADMIN"]})";
  EXPECT_EQ(check(with, "network"), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(check(with, "user"), absl::StatusCode::kOk);
  EXPECT_EQ(check(R"({"bounding":["CAP_KILL","CAP_NET_RAW"]})", "network"), absl::StatusCode::kOk);
  EXPECT_EQ(check("{}", "network"), absl::StatusCode::kOk);
  EXPECT_FALSE(CheckMayBeRouted(R"({"process":{"capabilities":7}})").ok());
  EXPECT_FALSE(
      CheckMayBeRouted(R"({"process":{"capabilities":{"bounding":"CAP_NET_ADMIN"}}})").ok());
  EXPECT_TRUE(CheckMayBeRouted(R"({"process":{}})").ok());
}

TEST(HookInputTest, TheRootIsInTheBundleUnlessItIsAbsolute) {
  EXPECT_EQ(RootPathOf(kConfig, "/b").value(), "/b/rootfs");
  EXPECT_EQ(RootPathOf(R"({"root":{"path":"/elsewhere"}})", "/b").value(), "/elsewhere");
  EXPECT_FALSE(RootPathOf("{}", "/b").ok());
}

TEST(HookInputTest, VariablesAreAddedUnlessTheyAreSet) {
  const std::string config = AddTrustVariables(kConfig).value();
  EXPECT_THAT(config, HasSubstr("\"SSL_CERT_FILE=/etc/sallyport/certs/bundle.crt\""));
  EXPECT_THAT(config, HasSubstr("\"PIP_CERT=/mine\""));
  EXPECT_THAT(config, testing::Not(HasSubstr("PIP_CERT=/etc")));
  // What is not understood stays as it is, in its order.
  EXPECT_THAT(config, HasSubstr("18446744073709551615"));
  EXPECT_LT(config.find("process"), config.find("root"));
}

TEST(HookInputTest, AProcessWithoutEnvironmentGetsOne) {
  EXPECT_THAT(AddTrustVariables(R"({"process":{}})").value(), HasSubstr("CURL_CA_BUNDLE="));
  EXPECT_FALSE(AddTrustVariables("{}").ok());
}

}  // namespace
}  // namespace sallyport::agent
