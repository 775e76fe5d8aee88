// SecretStore, and a secret's way to the agents.

#include "controlplane/secret_service.h"

#include <gtest/gtest.h>

#include <string>

#include "controlplane/testing/fake_agent.h"
#include "controlplane/testing/test_server.h"

namespace sallyport {
namespace {

using Stub = v1::SecretStore::Stub;
using Acks = FakeAgent::Acks;

class SecretServiceTest : public testing::Test {
 protected:
  SecretServiceTest() : stub_(v1::SecretStore::NewStub(server_.channel())) {
    v1::ContainerClass of_class;
    of_class.set_name("web");
    of_class.mutable_outbound()->set_handler("github");
    server_.ApplyClass(of_class);
    server_.ApplyClass("plain");
    v1::RegisterHandlerRequest request;
    request.mutable_handler()->set_name("github");
    v1::SetHeader* const header = request.mutable_handler()->mutable_builtin()->add_set_headers();
    header->set_name("authorization");
    header->mutable_secret()->set_secret("token");
    *request.mutable_options() = WaitStored();
    v1::RegisterHandlerResponse response;
    EXPECT_TRUE(
        Call(server_.registry(), &v1::HandlerRegistry::Stub::RegisterHandler, request, &response)
            .ok());
  }

  grpc::Status Set(const std::string& name, const std::string& value, v1::MutationResult* result,
                   const std::string& request_id = "") {
    v1::SetSecretRequest request;
    request.set_name(name);
    request.set_value(value);
    *request.mutable_options() = WaitEnforced(std::chrono::seconds(5));
    request.mutable_options()->set_request_id(request_id);
    return Call(*stub_, &Stub::SetSecret, request, result);
  }
  uint64_t Set(const std::string& name, const std::string& value) {
    v1::MutationResult result;
    const grpc::Status status = Set(name, value, &result);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return result.revision();
  }

  TestServer server_;
  const std::unique_ptr<Stub> stub_;
};

TEST_F(SecretServiceTest, GoesToTheHostsWhoseHandlersUseItAndIsWaitedFor) {
  FakeAgent agent(server_.channel(), FakeAgent::Hello("host-7", {{"web-1", "web"}}), Acks::kAtOnce);
  FakeAgent other(server_.NewChannel(), FakeAgent::Hello("host-8", {{"p-1", "plain"}}),
                  Acks::kAtOnce);
  ASSERT_TRUE(agent.NextDelta().has_value());
  ASSERT_TRUE(other.NextDelta().has_value());
  v1::MutationResult result;
  ASSERT_TRUE(Set("token", "hunter2", &result).ok());
  EXPECT_EQ(result.enforcement(), v1::MutationResult::ENFORCED);
  ASSERT_EQ(result.enforced_hosts_size(), 1);
  EXPECT_EQ(result.enforced_hosts(0), "host-7");
  const auto delta = agent.NextDelta();
  ASSERT_TRUE(delta.has_value());
  ASSERT_EQ(delta->updated_size(), 1);
  EXPECT_EQ(delta->updated(0).revision(), result.revision());
  EXPECT_EQ(delta->updated(0).secret().name(), "token");
  EXPECT_EQ(delta->updated(0).secret().value(), "hunter2");
  EXPECT_FALSE(other.has().contains(ResourceId::Secret("token")));

  v1::DeleteSecretRequest request;
  request.set_name("token");
  v1::MutationResult deleted;
  ASSERT_TRUE(Call(*stub_, &Stub::DeleteSecret, request, &deleted).ok());
  EXPECT_EQ(deleted.enforcement(), v1::MutationResult::ENFORCED);
  EXPECT_TRUE(agent.WaitToHave(ResourceId::Secret("token"), 0));
}

TEST_F(SecretServiceTest, AnAgentThatComesBackWithoutItIsSentItAgain) {
  const uint64_t revision = Set("token", "hunter2");
  FakeAgent agent(server_.channel(), FakeAgent::Hello("host-7", {{"web-1", "web"}}), Acks::kAtOnce);
  EXPECT_TRUE(agent.WaitToHave(ResourceId::Secret("token"), revision));
}

TEST_F(SecretServiceTest, ListsNamesAndUsersAndNoValue) {
  const uint64_t revision = Set("token", "hunter2");
  Set("unused", "hunter3");
  v1::ListSecretsResponse response;
  ASSERT_TRUE(Call(*stub_, &Stub::ListSecrets, v1::ListSecretsRequest(), &response).ok());
  ASSERT_EQ(response.secrets_size(), 2);
  EXPECT_EQ(response.secrets(0).name(), "token");
  EXPECT_EQ(response.secrets(0).revision(), revision);
  ASSERT_EQ(response.secrets(0).handlers_size(), 1);
  EXPECT_EQ(response.secrets(0).handlers(0), "github");
  EXPECT_EQ(response.secrets(1).handlers_size(), 0);
  EXPECT_EQ(response.SerializeAsString().find("hunter"), std::string::npos);
}

TEST_F(SecretServiceTest, ARequestIdRemembersNothingOfTheValue) {
  v1::MutationResult first;
  v1::MutationResult again;
  ASSERT_TRUE(Set("token", "hunter2", &first, "r-1").ok());
  ASSERT_TRUE(Set("token", "hunter3", &again, "r-1").ok());
  EXPECT_EQ(again.revision(), first.revision());
  EXPECT_EQ(Set("other", "hunter2", &again, "r-1").error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(SecretServiceTest, RefusesWhatNoHeaderMayHoldAndQuotesNothing) {
  for (const std::string& value : {std::string(), std::string("hunter2\n"), std::string(" hunter2"),
                                   std::string("hunter\0002", 8), std::string(16'385, 'x')}) {
    v1::MutationResult result;
    const grpc::Status status = Set("token", value, &result);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(status.error_message().find("value: "), 0u) << status.error_message();
    EXPECT_EQ(status.error_message().find("hunter"), std::string::npos);
  }
  v1::MutationResult result;
  EXPECT_EQ(Set("a b", "x", &result).error_message().find("name: "), 0u);
}

}  // namespace
}  // namespace sallyport
