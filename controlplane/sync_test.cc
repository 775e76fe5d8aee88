// PolicySync over a real socket and the real store, with fake agents.

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "common/base/strings.h"
#include "controlplane/testing/fake_agent.h"
#include "controlplane/testing/test_server.h"

namespace sallyport {
namespace {

using grpc::StatusCode;
using testing::HasSubstr;
using Policy = v1::OutboundPolicy::Stub;
using Acks = FakeAgent::Acks;

class SyncTest : public testing::Test {
 protected:
  SyncTest() { class_revision_ = server_.ApplyClass("web"); }

  uint64_t Allow(const std::string& id, const std::string& host) {
    v1::HostRequest request;
    request.set_container_id(id);
    request.set_host(host);
    *request.mutable_options() = WaitStored();
    v1::MutationResult result;
    EXPECT_TRUE(Call(server_.policy(), &Policy::AllowHost, request, &result).ok());
    return result.revision();
  }
  void SetRule(const std::string& id, const std::string& handler) {
    v1::SetOutboundByHostRequest request;
    request.set_container_id(id);
    request.set_host("api.test");
    request.set_handler(handler);
    *request.mutable_options() = WaitStored();
    v1::MutationResult result;
    EXPECT_TRUE(Call(server_.policy(), &Policy::SetOutboundByHost, request, &result).ok());
  }
  void RemoveHandler(const std::string& name) {
    v1::RemoveHandlerRequest request;
    request.set_name(name);
    *request.mutable_options() = WaitStored();
    v1::MutationResult result;
    EXPECT_TRUE(
        Call(server_.registry(), &v1::HandlerRegistry::Stub::RemoveHandler, request, &result).ok());
  }

  TestServer server_;
  uint64_t class_revision_ = 0;
};

TEST_F(SyncTest, AttachmentMakesTheContainerAndSendsWhatItNeeds) {
  server_.ApplyClass("unrelated");
  FakeAgent agent(server_.channel(), FakeAgent::Hello("host-7"), Acks::kAtOnce);
  const auto first = agent.NextDelta();
  ASSERT_TRUE(first.has_value());
  EXPECT_TRUE(first->reset());
  EXPECT_EQ(first->updated_size(), 0);

  agent.Attach("web-1", "web");
  const auto result = agent.NextAttachResult();
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->error(), "");
  const auto delta = agent.NextDelta();
  ASSERT_TRUE(delta.has_value());
  EXPECT_FALSE(delta->reset());
  EXPECT_EQ(delta->revision(), result->revision());
  ASSERT_EQ(delta->updated_size(), 2);
  EXPECT_EQ(delta->updated(0).class_().name(), "web");
  EXPECT_EQ(delta->updated(1).container().container_id(), "web-1");
  EXPECT_EQ(server_.GetContainer("web-1").host(), "host-7");
}

TEST_F(SyncTest, UnknownClassIsAnErrorForTheOperator) {
  FakeAgent agent(server_.channel(), FakeAgent::Hello("host-7", {{"web-1", "nope"}}),
                  Acks::kAtOnce);
  const auto result = agent.NextAttachResult();
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->error(), "there is no class \"nope\"; there are: web");
  EXPECT_EQ(result->revision(), 0u);
  ASSERT_TRUE(agent.NextDelta().has_value());
  EXPECT_TRUE(agent.has().empty());
}

TEST_F(SyncTest, ContainerOfAnotherClass) {
  server_.ApplyClass("batch");
  server_.CreateContainer("web-1", "web");
  FakeAgent agent(server_.channel(), FakeAgent::Hello("host-7", {{"web-1", "batch"}}),
                  Acks::kAtOnce);
  EXPECT_THAT(agent.NextAttachResult()->error(), HasSubstr("is of class web, not \"batch\""));
}

TEST_F(SyncTest, HandlersComeAndGoWithTheRulesThatNameThem) {
  const uint64_t kv = server_.RegisterHandler("kv");
  server_.RegisterHandler("unused");
  FakeAgent agent(server_.channel(), FakeAgent::Hello("host-7", {{"web-1", "web"}}), Acks::kAtOnce);
  ASSERT_TRUE(agent.WaitToHave(ResourceId::Class("web"), class_revision_));
  EXPECT_FALSE(agent.has().contains(ResourceId::Handler("kv")));
  SetRule("web-1", "kv");
  EXPECT_TRUE(agent.WaitToHave(ResourceId::Handler("kv"), kv));
  EXPECT_FALSE(agent.has().contains(ResourceId::Handler("unused")));
  RemoveHandler("kv");
  EXPECT_TRUE(agent.WaitToHave(ResourceId::Handler("kv"), 0));
  const uint64_t again = server_.RegisterHandler("kv");
  EXPECT_TRUE(agent.WaitToHave(ResourceId::Handler("kv"), again));
}

TEST_F(SyncTest, OneDeltaAtATimeAndVersionsBetweenAreSkipped) {
  FakeAgent agent(server_.channel(), FakeAgent::Hello("host-7", {{"web-1", "web"}}), Acks::kByHand);
  const auto first = agent.NextDelta();
  ASSERT_TRUE(first.has_value());
  for (const char* host : {"a.com", "b.com", "c.com"}) Allow("web-1", host);
  agent.Ack(first->revision());
  const auto second = agent.NextDelta();
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->revision(), first->revision() + 3);
  ASSERT_EQ(second->updated_size(), 1);
  EXPECT_EQ(second->updated(0).container().allowed_hosts().added_size(), 3);
}

TEST_F(SyncTest, DetachedIsRemovedAndKept) {
  FakeAgent agent(server_.channel(), FakeAgent::Hello("host-7", {{"web-1", "web"}}), Acks::kAtOnce);
  ASSERT_TRUE(agent.NextDelta().has_value());
  Allow("web-1", "a.com");
  agent.Detach("web-1", false);
  EXPECT_TRUE(agent.WaitToHave(ResourceId::Container("web-1"), 0));
  EXPECT_EQ(server_.GetContainer("web-1").host(), "");
  EXPECT_EQ(server_.GetContainer("web-1").policy().allowed_hosts().added(0), "a.com");
}

TEST_F(SyncTest, ForgottenIsDeleted) {
  FakeAgent agent(server_.channel(), FakeAgent::Hello("host-7", {{"web-1", "web"}}), Acks::kAtOnce);
  ASSERT_TRUE(agent.WaitToHave(ResourceId::Class("web"), class_revision_));
  agent.Detach("web-1", true);
  EXPECT_TRUE(agent.WaitToHave(ResourceId::Class("web"), 0));
  v1::GetContainerRequest request;
  request.set_container_id("web-1");
  v1::GetContainerResponse response;
  EXPECT_EQ(Call(server_.policy(), &Policy::GetContainer, request, &response).error_code(),
            StatusCode::NOT_FOUND);
}

TEST_F(SyncTest, EphemeralOnesThatLeftUnheardAreDeleted) {
  v1::Hello hello = FakeAgent::Hello("host-7", {{"web-1", "web"}, {"web-2", "web"}});
  for (v1::Attached& attached : *hello.mutable_attached())
    attached.set_ephemeral(attached.container_id() == "web-1");
  auto agent = std::make_unique<FakeAgent>(server_.channel(), hello, Acks::kAtOnce);
  ASSERT_TRUE(agent->NextDelta().has_value());
  agent.reset();
  EXPECT_EQ(server_.GetContainer("web-1").policy().class_name(), "web");

  FakeAgent rebooted(server_.channel(), FakeAgent::Hello("host-7", {{"web-3", "web"}}),
                     Acks::kAtOnce);
  ASSERT_TRUE(rebooted.NextDelta().has_value());
  v1::GetContainerRequest request;
  request.set_container_id("web-1");
  v1::GetContainerResponse response;
  EXPECT_EQ(Call(server_.policy(), &Policy::GetContainer, request, &response).error_code(),
            StatusCode::NOT_FOUND);
  EXPECT_EQ(server_.GetContainer("web-2").host(), "");
}

TEST_F(SyncTest, KnownResourcesAreNotSentAgain) {
  auto agent = std::make_unique<FakeAgent>(
      server_.channel(), FakeAgent::Hello("host-7", {{"web-1", "web"}, {"web-2", "web"}}),
      Acks::kAtOnce);
  ASSERT_TRUE(agent->NextDelta().has_value());
  const v1::Hello again = agent->HelloAgain();
  agent.reset();
  const uint64_t revision = Allow("web-2", "a.com");

  FakeAgent resumed(server_.channel(), again, Acks::kAtOnce);
  const auto delta = resumed.NextDelta();
  ASSERT_TRUE(delta.has_value());
  EXPECT_FALSE(delta->reset());
  ASSERT_EQ(delta->updated_size(), 1);
  EXPECT_EQ(delta->updated(0).container().container_id(), "web-2");
  EXPECT_EQ(delta->updated(0).revision(), revision);
  EXPECT_EQ(delta->removed_size(), 0);
}

TEST_F(SyncTest, ContainersThatLeftWhileAwayAreRemoved) {
  auto agent = std::make_unique<FakeAgent>(
      server_.channel(), FakeAgent::Hello("host-7", {{"web-1", "web"}, {"web-2", "web"}}),
      Acks::kAtOnce);
  ASSERT_TRUE(agent->NextDelta().has_value());
  v1::Hello again = agent->HelloAgain();
  agent.reset();
  again.mutable_attached()->DeleteSubrange(0, 1);

  FakeAgent resumed(server_.channel(), again, Acks::kAtOnce);
  EXPECT_TRUE(resumed.WaitToHave(ResourceId::Container("web-1"), 0));
  EXPECT_TRUE(resumed.has().contains(ResourceId::Container("web-2")));
  EXPECT_EQ(server_.GetContainer("web-1").host(), "");
}

TEST_F(SyncTest, AnotherEpochStartsFromNothing) {
  auto agent = std::make_unique<FakeAgent>(
      server_.channel(), FakeAgent::Hello("host-7", {{"web-1", "web"}}), Acks::kAtOnce);
  const auto before = agent->NextDelta();
  ASSERT_TRUE(before.has_value());
  const v1::Hello again = agent->HelloAgain();
  agent.reset();
  server_.Stop();
  server_.RemoveState();
  server_.Start();
  server_.ApplyClass("web");

  FakeAgent resumed(server_.channel(), again, Acks::kAtOnce);
  const auto delta = resumed.NextDelta();
  ASSERT_TRUE(delta.has_value());
  EXPECT_NE(delta->epoch(), before->epoch());
  EXPECT_TRUE(delta->reset());
  EXPECT_EQ(delta->updated_size(), 2);
}

// The store was put back to an older day, and nobody changed its epoch.
TEST_F(SyncTest, AgentAheadOfTheStoreStartsFromNothing) {
  auto agent = std::make_unique<FakeAgent>(
      server_.channel(), FakeAgent::Hello("host-7", {{"web-1", "web"}}), Acks::kAtOnce);
  ASSERT_TRUE(agent->NextDelta().has_value());
  v1::Hello again = agent->HelloAgain();
  agent.reset();
  again.mutable_known(0)->set_revision(1'000'000);
  FakeAgent resumed(server_.channel(), again, Acks::kAtOnce);
  EXPECT_TRUE(resumed.NextDelta()->reset());
}

TEST_F(SyncTest, NewerStreamOfOneHostWins) {
  FakeAgent older(server_.NewChannel(), FakeAgent::Hello("host-7", {{"web-1", "web"}}),
                  Acks::kAtOnce);
  ASSERT_TRUE(older.NextDelta().has_value());
  FakeAgent newer(server_.NewChannel(), FakeAgent::Hello("host-7", {{"web-1", "web"}}),
                  Acks::kAtOnce);
  EXPECT_EQ(older.WaitForEnd().error_code(), StatusCode::ABORTED);
  const uint64_t revision = Allow("web-1", "a.com");
  EXPECT_TRUE(newer.WaitToHave(ResourceId::Container("web-1"), revision));
}

TEST_F(SyncTest, ContainerIsOnOneLiveHostOnly) {
  auto first = std::make_unique<FakeAgent>(
      server_.NewChannel(), FakeAgent::Hello("host-7", {{"web-1", "web"}}), Acks::kAtOnce);
  ASSERT_TRUE(first->NextDelta().has_value());
  FakeAgent second(server_.NewChannel(), FakeAgent::Hello("host-8"), Acks::kAtOnce);
  second.Attach("web-1", "web");
  EXPECT_THAT(second.NextAttachResult()->error(), HasSubstr("is attached on host host-7"));
  EXPECT_EQ(server_.GetContainer("web-1").host(), "host-7");

  first->Detach("web-1", false);
  ASSERT_TRUE(first->WaitToHave(ResourceId::Container("web-1"), 0));
  second.Attach("web-1", "web");
  EXPECT_EQ(second.NextAttachResult()->error(), "");
  EXPECT_EQ(server_.GetContainer("web-1").host(), "host-8");
}

TEST_F(SyncTest, FirstMessageMustBeAHelloWithAName) {
  FakeAgent nameless(server_.channel(), v1::Hello(), Acks::kAtOnce);
  const grpc::Status status = nameless.WaitForEnd();
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("hello.host_name"));

  const auto stub = v1::PolicySync::NewStub(server_.channel());
  grpc::ClientContext context;
  const auto stream = stub->Sync(&context);
  v1::SyncRequest request;
  request.mutable_ack()->set_revision(1);
  stream->Write(request);
  EXPECT_EQ(stream->Finish().error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(SyncTest, AckOfWhatWasNotSentEndsTheStream) {
  FakeAgent agent(server_.channel(), FakeAgent::Hello("host-7"), Acks::kByHand);
  const auto delta = agent.NextDelta();
  ASSERT_TRUE(delta.has_value());
  agent.Ack(delta->revision() + 1);
  EXPECT_EQ(agent.WaitForEnd().error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(SyncTest, AttachedContainerIsNotDeleted) {
  FakeAgent agent(server_.channel(), FakeAgent::Hello("host-7", {{"web-1", "web"}}), Acks::kAtOnce);
  ASSERT_TRUE(agent.NextDelta().has_value());
  v1::DeleteContainerRequest request;
  request.set_container_id("web-1");
  v1::DeleteContainerResponse response;
  const grpc::Status status = Call(server_.policy(), &Policy::DeleteContainer, request, &response);
  EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("host-7"));
}

// More than fits in one message comes in parts.
TEST_F(SyncTest, LargeStateComesInParts) {
  v1::ContainerClass large;
  for (int i = 0; i < 3; ++i) {
    large.set_name(std::string(1, static_cast<char>('a' + i)));
    large.mutable_allowed_hosts()->clear_hosts();
    for (int host = 0; host < 60'000; ++host) {
      large.mutable_allowed_hosts()->add_hosts("a-rather-long-name-of-a-host-" +
                                               std::to_string(host) + ".example.com");
    }
    server_.ApplyClass(large);
  }
  FakeAgent agent(server_.channel(),
                  FakeAgent::Hello("host-7", {{"a-1", "a"}, {"b-1", "b"}, {"c-1", "c"}}),
                  Acks::kAtOnce);
  const auto first = agent.NextDelta();
  ASSERT_TRUE(first.has_value());
  EXPECT_TRUE(first->reset());
  EXPECT_LT(first->updated_size(), 6);
  const uint64_t agent_revision = first->revision();
  while (agent.has().size() < 6) {
    const auto next = agent.NextDelta();
    ASSERT_TRUE(next.has_value());
    EXPECT_FALSE(next->reset());
    EXPECT_EQ(next->revision(), agent_revision);
  }
}

// The agent waits for the revision of the AttachResult: a delta has to lead to it.
TEST_F(SyncTest, AttachmentThatChangesNothingIsFollowedByADelta) {
  FakeAgent agent(server_.channel(), FakeAgent::Hello("host-7", {{"web-1", "web"}}), Acks::kAtOnce);
  ASSERT_TRUE(agent.NextDelta().has_value());
  ASSERT_TRUE(agent.NextAttachResult().has_value());
  server_.ApplyClass("unrelated");
  agent.Attach("web-1", "web");
  const auto result = agent.NextAttachResult();
  ASSERT_TRUE(result.has_value());
  const auto delta = agent.NextDelta();
  ASSERT_TRUE(delta.has_value());
  EXPECT_EQ(delta->revision(), result->revision());
  EXPECT_EQ(delta->updated_size(), 0);
}

// A commit takes as long as on a disk.
class SlowStorage final : public Storage {
 public:
  explicit SlowStorage(std::atomic<int>* commits) : commits_(commits) {}
  absl::Status Commit(const State&, const std::vector<Change>&) override {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    ++*commits_;
    return absl::OkStatus();
  }

 private:
  std::atomic<int>* const commits_;
};

TEST(SyncSessionTest, WhatComesAtOnceIsCommittedTogetherAndAnsweredInOrder) {
  constexpr int kContainers = 200;
  std::atomic<int> commits = 0;
  State state;
  state.epoch = 1;
  auto store = std::make_unique<Store>(std::make_unique<SlowStorage>(&commits), std::move(state));
  auto server = Server::Start(std::move(store), {*ListenAddress::Parse("127.0.0.1:0")});
  ASSERT_TRUE(server.ok()) << server.status();
  const auto channel =
      grpc::CreateChannel((*server)->addresses().at(0), grpc::InsecureChannelCredentials());
  v1::ApplyClassRequest request;
  request.mutable_class_()->set_name("web");
  *request.mutable_options() = WaitStored();
  v1::ApplyClassResponse applied;
  const auto policy = v1::OutboundPolicy::NewStub(channel);
  ASSERT_TRUE(Call(*policy, &Policy::ApplyClass, request, &applied).ok());

  FakeAgent agent(channel, FakeAgent::Hello("host-7"), Acks::kAtOnce);
  ASSERT_TRUE(agent.NextDelta().has_value());
  const int before = commits;
  for (int i = 0; i < kContainers; ++i) agent.Attach(StrCat("web-", i), "web");
  uint64_t revision = 0;
  for (int i = 0; i < kContainers; ++i) {
    const auto answer = agent.NextAttachResult();
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->container_id(), StrCat("web-", i));
    EXPECT_EQ(answer->error(), "");
    EXPECT_GT(answer->revision(), revision);
    revision = answer->revision();
  }
  EXPECT_TRUE(agent.WaitToHave(ResourceId::Container(StrCat("web-", kContainers - 1)), revision));
  EXPECT_LT(commits - before, kContainers / 2);
}

TEST_F(SyncTest, StopEndsStreamsSoThatAgentsComeBack) {
  FakeAgent agent(server_.channel(), FakeAgent::Hello("host-7"), Acks::kAtOnce);
  ASSERT_TRUE(agent.NextDelta().has_value());
  server_.Stop();
  EXPECT_EQ(agent.WaitForEnd().error_code(), StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace sallyport
