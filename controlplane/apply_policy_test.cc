// ApplyPolicy over a real socket and the real store.

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <future>
#include <string>

#include "controlplane/testing/fake_agent.h"
#include "controlplane/testing/test_server.h"

namespace sallyport {
namespace {

using grpc::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Kind = v1::PolicyChange;
using Policy = v1::OutboundPolicy::Stub;

constexpr char kPolicy[] =
    "handlers { name: 'gh' endpoints: 'grpc://127.0.0.1:1' } "
    "classes { name: 'agent' allowed_hosts { hosts: 'GitHub.com' } "
    "          outbound_by_host { host: 'github.com' handler { handler: 'gh' } } } "
    "containers { container_id: 'a-1' class_name: 'agent' "
    "             outbound_by_host { host: 'my.kv' handler { handler: 'gh' } } } ";

class ApplyPolicyTest : public testing::Test {
 protected:
  grpc::Status Apply(const std::string& text) {
    v1::ApplyPolicyRequest request;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request)) << text;
    response_.Clear();
    return Call(server_.policy(), &Policy::ApplyPolicy, request, &response_);
  }
  std::vector<v1::PolicyChange::Kind> Kinds() const {
    std::vector<v1::PolicyChange::Kind> kinds;
    for (const v1::PolicyChange& change : response_.changes()) kinds.push_back(change.kind());
    return kinds;
  }
  bool HasClass(const std::string& name) {
    v1::GetClassRequest request;
    request.set_name(name);
    v1::GetClassResponse response;
    return Call(server_.policy(), &Policy::GetClass, request, &response).ok();
  }

  TestServer server_;
  v1::ApplyPolicyResponse response_;
};

TEST_F(ApplyPolicyTest, CreatesEverythingInOneRevision) {
  ASSERT_TRUE(Apply(kPolicy).ok());
  EXPECT_THAT(Kinds(), ElementsAre(Kind::CREATED, Kind::CREATED, Kind::CREATED));
  EXPECT_EQ(response_.result().revision(), 1u);
  EXPECT_EQ(response_.result().enforcement(), v1::MutationResult::NOT_ATTACHED);
  EXPECT_EQ(response_.changes(1).key().name(), "agent");
  EXPECT_EQ(response_.changes(1).after().class_().allowed_hosts().hosts(0), "github.com");
  EXPECT_EQ(response_.changes(1).after().revision(), 1u);
  EXPECT_FALSE(response_.changes(1).has_before());
  EXPECT_EQ(server_.GetContainer("a-1").policy().outbound_by_host(0).host(), "my.kv");
}

TEST_F(ApplyPolicyTest, TwiceChangesNothing) {
  ASSERT_TRUE(Apply(kPolicy).ok());
  ASSERT_TRUE(Apply(kPolicy).ok());
  EXPECT_THAT(Kinds(), ElementsAre(Kind::UNCHANGED, Kind::UNCHANGED, Kind::UNCHANGED));
  EXPECT_EQ(response_.result().revision(), 1u);
  EXPECT_FALSE(response_.changes(0).has_before());
  EXPECT_EQ(response_.changes(0).after().handler().name(), "gh");
}

TEST_F(ApplyPolicyTest, SaysWhatEachWasAndIs) {
  ASSERT_TRUE(Apply(kPolicy).ok());
  ASSERT_TRUE(Apply("classes { name: 'agent' } classes { name: 'new' }"
                    "containers { container_id: 'a-1' class_name: 'agent' }")
                  .ok());
  EXPECT_THAT(Kinds(), ElementsAre(Kind::UPDATED, Kind::CREATED, Kind::UPDATED));
  EXPECT_EQ(response_.changes(0).before().class_().allowed_hosts().hosts(0), "github.com");
  EXPECT_EQ(response_.changes(0).before().revision(), 1u);
  EXPECT_FALSE(response_.changes(0).after().class_().has_allowed_hosts());
  EXPECT_EQ(response_.changes(2).before().container().outbound_by_host_size(), 1);
  EXPECT_EQ(server_.GetContainer("a-1").policy().outbound_by_host_size(), 0);
  EXPECT_EQ(response_.result().revision(), 2u);
}

TEST_F(ApplyPolicyTest, WhatItDoesNotNameStays) {
  ASSERT_TRUE(Apply(kPolicy).ok());
  ASSERT_TRUE(Apply("classes { name: 'other' }").ok());
  EXPECT_TRUE(HasClass("agent"));
  EXPECT_EQ(server_.GetContainer("a-1").policy().class_name(), "agent");
}

TEST_F(ApplyPolicyTest, DryRunSaysTheSameAndChangesNothing) {
  ASSERT_TRUE(Apply("classes { name: 'agent' }").ok());
  const std::string dry = std::string(kPolicy) + "dry_run: true options { request_id: 'r' }";
  ASSERT_TRUE(Apply(dry).ok());
  EXPECT_THAT(Kinds(), ElementsAre(Kind::CREATED, Kind::UPDATED, Kind::CREATED));
  EXPECT_EQ(response_.result().revision(), 1u) << "the present one";
  EXPECT_EQ(response_.changes(1).before().revision(), 1u);
  EXPECT_EQ(response_.changes(1).after().revision(), 0u) << "not known yet";
  EXPECT_FALSE(response_.changes(1).before().class_().has_allowed_hosts());
  ASSERT_TRUE(Apply(std::string(kPolicy) + "options { request_id: 'r' }").ok())
      << "a dry run uses no request id up";
  EXPECT_EQ(response_.result().revision(), 2u);
}

TEST_F(ApplyPolicyTest, EveryWrongFieldIsNamedAndNothingChanges) {
  const grpc::Status status = Apply(
      "handlers { name: 'ok' endpoints: 'grpc://127.0.0.1:1' } handlers { name: 'bad name' "
      "retries: 9 }"
      "classes { name: 'ok' } classes { name: 'bad' denied_hosts { hosts: '.evil.com' } }"
      "options { timeout { seconds: 99 } }");
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  for (const char* path : {"handlers[1].name: ", "\nhandlers[1].retries: ",
                           "\nclasses[1].denied_hosts[0]: ", "\noptions.timeout: "}) {
    EXPECT_THAT(status.error_message(), HasSubstr(path));
  }
  EXPECT_FALSE(HasClass("ok"));
}

TEST_F(ApplyPolicyTest, HandlersMustBeRegisteredOrComeAlong) {
  const grpc::Status status = Apply(
      "classes { name: 'agent' outbound_handlers { names: 'kv' } }"
      "handlers { name: 'gh' endpoints: 'grpc://127.0.0.1:1' }"
      "containers { container_id: 'a-1' class_name: 'agent' outbound { handler: 'nope' } }"
      "containers { container_id: 'a-2' class_name: 'agent' "
      "  intercepts { scheme: SCHEME_HTTP target: '*' handler { handler: 'gh' } } }"
      "containers { container_id: 'a-3' class_name: 'gone' }");
  EXPECT_EQ(status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_THAT(status.error_message(),
              HasSubstr("containers[0].outbound: handler \"nope\" is not registered"));
  EXPECT_THAT(status.error_message(),
              HasSubstr("containers[1].intercepts[0].handler: handler \"gh\" is not among the "
                        "outbound_handlers of class \"agent\""));
  EXPECT_THAT(status.error_message(),
              HasSubstr("containers[2].class_name: there is no class \"gone\""));
  EXPECT_FALSE(HasClass("agent"));
}

TEST_F(ApplyPolicyTest, ContainerKeepsItsClass) {
  ASSERT_TRUE(Apply(kPolicy).ok());
  const grpc::Status status =
      Apply("classes { name: 'other' } containers { container_id: 'a-1' class_name: 'other' }");
  EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("containers[0].class_name: container a-1 is of "
                                                "class agent, not other"));
  EXPECT_FALSE(HasClass("other"));
}

TEST_F(ApplyPolicyTest, ExpectedRevisionIsTheStores) {
  ASSERT_TRUE(Apply(kPolicy).ok());
  const grpc::Status status = Apply("classes { name: 'x' } options { expected_revision: 0 }");
  EXPECT_EQ(status.error_code(), StatusCode::ABORTED);
  EXPECT_THAT(status.error_message(), HasSubstr("the store is at revision 1, but "
                                                "options.expected_revision is 0"));
  EXPECT_TRUE(Apply("classes { name: 'x' } options { expected_revision: 1 }").ok());
  EXPECT_EQ(Apply("dry_run: true options { expected_revision: 1 }").error_code(),
            StatusCode::ABORTED);
}

TEST_F(ApplyPolicyTest, RepetitionWithTheRequestId) {
  const std::string policy = std::string(kPolicy) + "options { request_id: 'r' }";
  ASSERT_TRUE(Apply(policy).ok());
  ASSERT_TRUE(Apply("classes { name: 'agent' }").ok());
  ASSERT_TRUE(Apply(policy).ok());
  EXPECT_EQ(response_.result().revision(), 1u);
  EXPECT_THAT(Kinds(), ElementsAre(Kind::UNCHANGED, Kind::UNCHANGED, Kind::UNCHANGED));
  EXPECT_FALSE(response_.changes(1).after().class_().has_allowed_hosts());
}

TEST_F(ApplyPolicyTest, WarningsNameThePath) {
  ASSERT_TRUE(Apply("classes { name: 'a' } classes { name: 'b' allowed_hosts { hosts: 'x.*' } "
                    "outbound { handler: 'nope' } }")
                  .ok());
  EXPECT_THAT(response_.warnings(),
              ElementsAre(HasSubstr("classes[1].allowed_hosts[0]: "),
                          HasSubstr("classes[1].outbound: handler \"nope\" is not registered")));
}

TEST_F(ApplyPolicyTest, AnswerThatWouldBeTooLargeLeavesValuesOut) {
  const auto policy = [](const std::string& name) {
    std::string text = "classes { name: 'large' denied_hosts { ";
    for (int i = 0; i < 100'000; ++i) text += "hosts: '" + name + std::to_string(i) + ".test' ";
    return text + "} }";
  };
  ASSERT_TRUE(Apply(policy("a-rather-long-name-")).ok());
  EXPECT_EQ(response_.changes(0).after().class_().denied_hosts().hosts_size(), 100'000);
  ASSERT_TRUE(Apply(policy("another-long-name-")).ok());
  EXPECT_THAT(Kinds(), ElementsAre(Kind::UPDATED));
  EXPECT_FALSE(response_.changes(0).has_before());
  EXPECT_FALSE(response_.changes(0).has_after());
}

TEST_F(ApplyPolicyTest, NothingAtAll) {
  ASSERT_TRUE(Apply("").ok());
  EXPECT_THAT(Kinds(), IsEmpty());
  EXPECT_EQ(response_.result().revision(), 0u);
}

TEST_F(ApplyPolicyTest, WaitsForEveryHostConcerned) {
  ASSERT_TRUE(Apply(kPolicy).ok());
  server_.ApplyClass("lone");
  const auto connect = [this](const std::string& host, const std::string& id,
                              const std::string& class_name) {
    auto agent = std::make_unique<FakeAgent>(
        server_.NewChannel(), FakeAgent::Hello(host, {{id, class_name}}), FakeAgent::Acks::kByHand);
    const auto first = agent->NextDelta();
    EXPECT_TRUE(first.has_value());
    agent->Ack(first->revision());
    return agent;
  };
  const auto one = connect("host-1", "a-1", "agent");
  const auto two = connect("host-2", "a-2", "agent");
  const auto lone = connect("host-3", "l-1", "lone");
  auto answer = std::async(std::launch::async, [this] {
    return Apply(
        "classes { name: 'agent' } "
        "containers { container_id: 'l-1' class_name: 'lone' enable_internet: false }");
  });
  for (const auto* agent : {&one, &lone, &two}) {
    const auto delta = (*agent)->NextDelta();
    ASSERT_TRUE(delta.has_value());
    EXPECT_NE(answer.wait_for(std::chrono::milliseconds(0)), std::future_status::ready);
    (*agent)->Ack(delta->revision());
  }
  ASSERT_TRUE(answer.get().ok());
  EXPECT_EQ(response_.result().enforcement(), v1::MutationResult::ENFORCED);
  EXPECT_THAT(response_.result().enforced_hosts(), ElementsAre("host-1", "host-2", "host-3"));
}

}  // namespace
}  // namespace sallyport
