// What mutations answer, and when: with fake agents that ack, refuse, are slow or go away.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <string>

#include "controlplane/testing/fake_agent.h"
#include "controlplane/testing/test_server.h"

namespace sallyport {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using Policy = v1::OutboundPolicy::Stub;
using Acks = FakeAgent::Acks;
using Result = v1::MutationResult;

class EnforcementTest : public testing::Test {
 protected:
  EnforcementTest() { server_.ApplyClass("web"); }

  Result Allow(const std::string& host, const v1::MutationOptions& options = {}) {
    v1::HostRequest request;
    request.set_container_id("web-1");
    request.set_host(host);
    *request.mutable_options() = options;
    Result result;
    const grpc::Status status = Call(server_.policy(), &Policy::AllowHost, request, &result);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return result;
  }
  Result ApplyClass(bool intercept) {
    v1::ApplyClassRequest request;
    request.mutable_class_()->set_name("web");
    request.mutable_class_()->set_intercept_https(intercept);
    v1::ApplyClassResponse response;
    EXPECT_TRUE(Call(server_.policy(), &Policy::ApplyClass, request, &response).ok());
    return response.result();
  }
  std::unique_ptr<FakeAgent> Agent(const std::string& host, const std::string& container,
                                   Acks acks) {
    auto agent = std::make_unique<FakeAgent>(server_.NewChannel(),
                                             FakeAgent::Hello(host, {{container, "web"}}), acks);
    const auto first = agent->NextDelta();
    EXPECT_TRUE(first.has_value());
    if (acks == Acks::kByHand) agent->Ack(first->revision());
    return agent;
  }

  TestServer server_;
};

TEST_F(EnforcementTest, EnforcedWhenTheHostAcks) {
  const auto agent = Agent("host-7", "web-1", Acks::kAtOnce);
  const Result result = Allow("a.com");
  EXPECT_EQ(result.enforcement(), Result::ENFORCED);
  EXPECT_THAT(result.enforced_hosts(), ElementsAre("host-7"));
  EXPECT_EQ(server_.GetContainer("web-1").enforced_revision(), result.revision());
}

TEST_F(EnforcementTest, AnswersOnlyAfterTheAck) {
  const auto agent = Agent("host-7", "web-1", Acks::kByHand);
  auto answer = std::async(std::launch::async, [&] { return Allow("a.com"); });
  const auto delta = agent->NextDelta();
  ASSERT_TRUE(delta.has_value());
  EXPECT_EQ(server_.GetContainer("web-1").stored_revision(), delta->revision());
  EXPECT_LT(server_.GetContainer("web-1").enforced_revision(), delta->revision());
  EXPECT_NE(answer.wait_for(milliseconds(0)), std::future_status::ready);
  agent->Ack(delta->revision());
  const Result result = answer.get();
  EXPECT_EQ(result.enforcement(), Result::ENFORCED);
  EXPECT_EQ(result.revision(), delta->revision());
}

TEST_F(EnforcementTest, PendingAfterTheTimeout) {
  const auto agent = Agent("host-7", "web-1", Acks::kByHand);
  const Result result = Allow("a.com", WaitEnforced(milliseconds(30)));
  EXPECT_EQ(result.enforcement(), Result::PENDING);
  EXPECT_THAT(result.pending_hosts(), ElementsAre("host-7"));
  EXPECT_GE(result.waited().nanos(), 30'000'000);
}

TEST_F(EnforcementTest, CallersDeadlineWinsAndIsAnsweredBefore) {
  const auto agent = Agent("host-7", "web-1", Acks::kByHand);
  v1::HostRequest request;
  request.set_container_id("web-1");
  request.set_host("a.com");
  *request.mutable_options() = WaitEnforced(milliseconds(60'000));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(1));
  Result result;
  const grpc::Status status = server_.policy().AllowHost(&context, request, &result);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(result.enforcement(), Result::PENDING);
}

TEST_F(EnforcementTest, StoredAnswersAtOnce) {
  const auto agent = Agent("host-7", "web-1", Acks::kByHand);
  EXPECT_EQ(Allow("a.com", WaitStored()).enforcement(), Result::PENDING);
}

TEST_F(EnforcementTest, NoChangeIsEnforcedAlready) {
  const auto agent = Agent("host-7", "web-1", Acks::kAtOnce);
  const Result first = Allow("a.com");
  const Result second = Allow("a.com");
  EXPECT_EQ(second.revision(), first.revision());
  EXPECT_EQ(second.enforcement(), Result::ENFORCED);
}

TEST_F(EnforcementTest, NotAttachedAnywhere) {
  server_.CreateContainer("web-1", "web");
  const Result result = Allow("a.com");
  EXPECT_EQ(result.enforcement(), Result::NOT_ATTACHED);
  EXPECT_EQ(result.enforced_hosts_size() + result.pending_hosts_size(), 0);
}

TEST_F(EnforcementTest, HostThatWentAwayIsPending) {
  Agent("host-7", "web-1", Acks::kAtOnce).reset();
  const Result result = Allow("a.com", WaitEnforced(milliseconds(20)));
  EXPECT_EQ(result.enforcement(), Result::PENDING);
  EXPECT_THAT(result.pending_hosts(), ElementsAre("host-7"));
}

TEST_F(EnforcementTest, HostIsRememberedOverARestart) {
  Agent("host-7", "web-1", Acks::kAtOnce).reset();
  server_.Restart();
  EXPECT_THAT(Allow("a.com", WaitEnforced(milliseconds(20))).pending_hosts(),
              ElementsAre("host-7"));
}

TEST_F(EnforcementTest, HostThatComesBackInTime) {
  auto agent = Agent("host-7", "web-1", Acks::kAtOnce);
  const v1::Hello again = agent->HelloAgain();
  agent.reset();
  auto answer = std::async(std::launch::async, [&] { return Allow("a.com"); });
  FakeAgent resumed(server_.NewChannel(), again, Acks::kAtOnce);
  EXPECT_EQ(answer.get().enforcement(), Result::ENFORCED);
}

TEST_F(EnforcementTest, RejectionIsToldAndOthersGoOn) {
  const auto agent = Agent("host-7", "web-1", Acks::kAtOnce);
  agent->Attach("web-2", "web");
  ASSERT_TRUE(agent->NextDelta().has_value());
  agent->Reject(ResourceId::Container("web-1"), "too new for me");
  const Result result = Allow("a.com");
  EXPECT_EQ(result.enforcement(), Result::REJECTED);
  EXPECT_THAT(result.rejections(), ElementsAre("host-7 refused container web-1: too new for me"));
  EXPECT_EQ(server_.GetContainer("web-1").rejection(), "too new for me");
  EXPECT_EQ(server_.GetContainer("web-2").rejection(), "");
}

TEST_F(EnforcementTest, RejectionEndsWithTheNextGoodVersion) {
  const auto agent = Agent("host-7", "web-1", Acks::kByHand);
  EXPECT_EQ(Allow("a.com", WaitStored()).enforcement(), Result::PENDING);
  const auto bad = agent->NextDelta();
  ASSERT_TRUE(bad.has_value());
  v1::Ack::Rejected rejected;
  *rejected.mutable_key() = ResourceId::Container("web-1").ToProto();
  rejected.set_reason("no");
  agent->Ack(bad->revision(), {rejected});
  EXPECT_EQ(Allow("a.com").enforcement(), Result::REJECTED);

  auto answer = std::async(std::launch::async, [&] { return Allow("b.com"); });
  const auto good = agent->NextDelta();
  ASSERT_TRUE(good.has_value());
  agent->Ack(good->revision());
  EXPECT_EQ(answer.get().enforcement(), Result::ENFORCED);
  EXPECT_EQ(server_.GetContainer("web-1").rejection(), "");
}

TEST_F(EnforcementTest, ClassWaitsForEveryHostOfIt) {
  const auto fast = Agent("host-1", "web-1", Acks::kAtOnce);
  const auto slow = Agent("host-2", "web-2", Acks::kByHand);
  const auto unconcerned =
      std::make_unique<FakeAgent>(server_.NewChannel(), FakeAgent::Hello("host-3"), Acks::kByHand);
  auto answer = std::async(std::launch::async, [&] { return ApplyClass(true); });
  const auto delta = slow->NextDelta();
  ASSERT_TRUE(delta.has_value());
  EXPECT_NE(answer.wait_for(milliseconds(0)), std::future_status::ready);
  slow->Ack(delta->revision());
  const Result result = answer.get();
  EXPECT_EQ(result.enforcement(), Result::ENFORCED);
  EXPECT_THAT(result.enforced_hosts(), ElementsAre("host-1", "host-2"));
}

TEST_F(EnforcementTest, ClassThatMakesAContainerFail) {
  const auto agent = Agent("host-7", "web-1", Acks::kByHand);
  auto answer = std::async(std::launch::async, [&] { return ApplyClass(true); });
  const auto delta = agent->NextDelta();
  ASSERT_TRUE(delta.has_value());
  v1::Ack::Rejected rejected;
  *rejected.mutable_key() = ResourceId::Container("web-1").ToProto();
  rejected.set_reason("no");
  agent->Ack(delta->revision(), {rejected});
  EXPECT_EQ(answer.get().enforcement(), Result::REJECTED);
}

TEST_F(EnforcementTest, HandlerConcernsHostsWhoseRulesNameIt) {
  const auto with = Agent("host-1", "web-1", Acks::kAtOnce);
  const auto without = Agent("host-2", "web-2", Acks::kByHand);
  server_.RegisterHandler("kv");
  v1::SetOutboundHandlerRequest rule;
  rule.set_container_id("web-1");
  rule.set_handler("kv");
  Result result;
  ASSERT_TRUE(Call(server_.policy(), &Policy::SetOutboundHandler, rule, &result).ok());

  v1::RegisterHandlerRequest request;
  request.mutable_handler()->set_name("kv");
  request.mutable_handler()->add_endpoints("grpc://127.0.0.1:9");
  v1::RegisterHandlerResponse response;
  ASSERT_TRUE(
      Call(server_.registry(), &v1::HandlerRegistry::Stub::RegisterHandler, request, &response)
          .ok());
  EXPECT_EQ(response.result().enforcement(), Result::ENFORCED);
  EXPECT_THAT(response.result().enforced_hosts(), ElementsAre("host-1"));
}

TEST_F(EnforcementTest, DetachedHostIsWaitedForNoMore) {
  const auto agent = Agent("host-7", "web-1", Acks::kByHand);
  auto answer = std::async(std::launch::async, [&] { return Allow("a.com"); });
  ASSERT_TRUE(agent->NextDelta().has_value());
  agent->Detach("web-1", false);
  EXPECT_EQ(answer.get().enforcement(), Result::NOT_ATTACHED);
}

TEST_F(EnforcementTest, CancelledCallsLeaveNothingBehind) {
  const auto agent = Agent("host-7", "web-1", Acks::kByHand);
  grpc::ClientContext context;
  v1::HostRequest request;
  request.set_container_id("web-1");
  request.set_host("a.com");
  Result result;
  auto answer = std::async(std::launch::async,
                           [&] { return server_.policy().AllowHost(&context, request, &result); });
  const auto delta = agent->NextDelta();
  ASSERT_TRUE(delta.has_value());
  context.TryCancel();
  EXPECT_EQ(answer.get().error_code(), grpc::StatusCode::CANCELLED);
  agent->Ack(delta->revision());
  EXPECT_EQ(Allow("a.com").enforcement(), Result::ENFORCED) << "the change itself is stored";
}

TEST_F(EnforcementTest, StopAnswersThoseWhoWait) {
  const auto agent = Agent("host-7", "web-1", Acks::kByHand);
  auto answer = std::async(std::launch::async, [&] { return Allow("a.com"); });
  ASSERT_TRUE(agent->NextDelta().has_value());
  server_.Stop();
  EXPECT_EQ(answer.get().enforcement(), Result::PENDING);
}

TEST_F(EnforcementTest, ManyClientsLoseNoUpdate) {
  const auto agent = Agent("host-7", "web-1", Acks::kAtOnce);
  std::vector<std::future<void>> clients;
  for (int client = 0; client < 50; ++client) {
    clients.push_back(std::async(std::launch::async, [this, client] {
      for (int i = 0; i < 4; ++i) {
        const Result result = Allow(std::to_string(client * 4 + i) + ".example.com");
        EXPECT_EQ(result.enforcement(), Result::ENFORCED);
      }
    }));
  }
  for (auto& client : clients) client.get();
  const v1::ContainerStatus status = server_.GetContainer("web-1");
  EXPECT_EQ(status.effective_allowed_hosts().hosts_size(), 200);
  EXPECT_TRUE(agent->WaitToHave(ResourceId::Container("web-1"), status.stored_revision()));
}

}  // namespace
}  // namespace sallyport
