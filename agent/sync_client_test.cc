#include "agent/sync_client.h"

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent/testing/proxy_fixture.h"
#include "agent/testing/sync_server.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sallyport::agent {
namespace {

using Kind = Enforcement::Kind;

class SyncClientTest : public testing::Test {
 protected:
  SyncClientTest() : server_(fixture_.directory() + "/controlplane.sock") {}

  void StartAgent(const std::vector<std::string>& proxy_flags = {}) {
    supervisor_ = fixture_.Supervisor(proxy_flags);
    client_ = std::make_unique<SyncClient>(
        SyncClient::Options{.target = server_.target(),
                            .tls_dir = "",
                            .host_name = "host-7",
                            .version = "test",
                            .first_pause = std::chrono::milliseconds(10),
                            .longest_pause = std::chrono::milliseconds(50)},
        supervisor_.get(), fixture_.cache());
  }
  v1::Hello NextHello() {
    std::optional<v1::SyncRequest> request = server_.Next();
    EXPECT_TRUE(request.has_value() && request->has_hello());
    return request.has_value() ? request->hello() : v1::Hello();
  }
  // Sends a delta and takes its ack.
  v1::Ack Enforce(const v1::Delta& delta) {
    server_.SendDelta(delta);
    std::optional<v1::SyncRequest> request = server_.Next();
    EXPECT_TRUE(request.has_value() && request->has_ack());
    return request.has_value() ? request->ack() : v1::Ack();
  }
  Enforcement Wait(const std::string& id) { return client_->WaitEnforced(id, TestDeadline()); }

  ProxyFixture fixture_;
  SyncServer server_;
  std::unique_ptr<ProxySupervisor> supervisor_;
  std::unique_ptr<SyncClient> client_;
};

TEST_F(SyncClientTest, SaysWhoItIsAndWhatItHas) {
  ASSERT_TRUE(fixture_.cache()->Commit(TestDelta(5, {"old"}), {}).ok());
  StartAgent();
  const v1::Hello hello = NextHello();
  EXPECT_EQ(hello.host_name(), "host-7");
  EXPECT_EQ(hello.epoch(), 1u);
  ASSERT_EQ(hello.known_size(), 1);
  EXPECT_EQ(hello.known(0).key().name(), "old");
  EXPECT_EQ(hello.known(0).revision(), 5u);
}

TEST_F(SyncClientTest, ADeltaIsInTheProxyAndOnDiskWhenItIsAcked) {
  StartAgent();
  NextHello();
  EXPECT_EQ(Enforce(TestDelta(3, {"web-1"})).revision(), 3u);
  EXPECT_EQ(fixture_.Log().back(), "policy 3 +web-1");
  EXPECT_EQ((*PolicyCache::Open(fixture_.directory() + "/state"))->revision(), 3u);
  EXPECT_TRUE(client_->state().connected);
}

TEST_F(SyncClientTest, ARejectedResourceIsNamedInTheAck) {
  StartAgent({"--reject=bad"});
  NextHello();
  const v1::Ack ack = Enforce(TestDelta(3, {"good", "bad"}));
  ASSERT_EQ(ack.rejected_size(), 1);
  EXPECT_EQ(ack.rejected(0).key().name(), "bad");
  EXPECT_EQ(ack.rejected(0).reason(), "as asked");
}

TEST_F(SyncClientTest, APartOfADeltaIsAckedAsItCame) {
  StartAgent();
  NextHello();
  Enforce(TestDelta(7, {"a"}));
  EXPECT_EQ(Enforce(TestDelta(0, {"b"})).revision(), 0u);
  EXPECT_EQ(fixture_.Log().back(), "policy 7 +b");
  EXPECT_EQ(Enforce(TestDelta(8, {})).revision(), 8u);
}

TEST_F(SyncClientTest, AttachingIsToldAndEnforcedByTheDeltaThatFollows) {
  StartAgent();
  NextHello();
  client_->Attached("web-1", "agents");
  const auto request = server_.Next();
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->attached().container_id(), "web-1");
  EXPECT_EQ(request->attached().class_name(), "agents");
  EXPECT_EQ(client_->WaitEnforced("web-1", std::chrono::steady_clock::now()).kind, Kind::kPending);
  server_.Accept("web-1", 4);
  Enforce(TestDelta(4, {"web-1"}));
  const Enforcement enforcement = Wait("web-1");
  EXPECT_EQ(enforcement.kind, Kind::kEnforced);
  EXPECT_EQ(enforcement.revision, 4u);
  EXPECT_EQ(enforcement.reason, "");
}

TEST_F(SyncClientTest, ARefusalIsTheControlPlanesSentence) {
  StartAgent();
  NextHello();
  client_->Attached("web-1", "nope");
  server_.Next();
  server_.Refuse("web-1", "there is no class nope");
  const Enforcement enforcement = Wait("web-1");
  EXPECT_EQ(enforcement.kind, Kind::kRefused);
  EXPECT_EQ(enforcement.reason, "there is no class nope");
}

TEST_F(SyncClientTest, ARejectedPolicyIsNotEnforced) {
  StartAgent({"--reject=web-1"});
  NextHello();
  client_->Attached("web-1", "agents");
  server_.Next();
  server_.Accept("web-1", 4);
  Enforce(TestDelta(4, {"web-1"}));
  Enforce(TestDelta(5, {"other"}));
  const Enforcement enforcement = Wait("web-1");
  EXPECT_EQ(enforcement.kind, Kind::kPending);
  EXPECT_THAT(enforcement.reason, testing::HasSubstr("as asked"));
}

TEST_F(SyncClientTest, WithoutADeltaThePolicyThatIsThereCounts) {
  StartAgent();
  NextHello();
  Enforce(TestDelta(4, {"web-1"}));
  client_->Attached("web-1", "agents");
  server_.Next();
  server_.Accept("web-1", 6);
  EXPECT_EQ(Wait("web-1").kind, Kind::kEnforced);
}

TEST_F(SyncClientTest, APartOfADeltaEnforcesNotWhatIsStillToCome) {
  StartAgent();
  NextHello();
  client_->Attached("web-1", "agents");
  server_.Next();
  server_.Accept("web-1", 4);
  Enforce(TestDelta(4, {"other"}));
  EXPECT_EQ(client_->WaitEnforced("web-1", std::chrono::steady_clock::now()).kind, Kind::kPending);
  Enforce(TestDelta(4, {"web-1"}));
  const Enforcement enforcement = Wait("web-1");
  EXPECT_EQ(enforcement.kind, Kind::kEnforced);
  EXPECT_EQ(enforcement.revision, 4u);
}

TEST_F(SyncClientTest, ADetachedContainerIsWaitedForNoMore) {
  StartAgent();
  NextHello();
  client_->Attached("web-1", "agents");
  Enforcement enforcement;
  std::thread waiter([&] { enforcement = Wait("web-1"); });
  server_.Next();
  client_->Detached("web-1", /*forget=*/true);
  waiter.join();
  EXPECT_EQ(enforcement.kind, Kind::kGone);
  const auto request = server_.Next();
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->detached().container_id(), "web-1");
  EXPECT_TRUE(request->detached().forget());
}

TEST_F(SyncClientTest, AfterABreakItComesBackWithEverything) {
  StartAgent();
  NextHello();
  client_->Attached("web-1", "agents");
  server_.Next();
  server_.Accept("web-1", 4);
  Enforce(TestDelta(4, {"web-1"}));
  server_.HangUp(grpc::Status::OK);
  const v1::Hello hello = NextHello();
  EXPECT_EQ(hello.known_size(), 1);
  ASSERT_EQ(hello.attached_size(), 1);
  EXPECT_EQ(hello.attached(0).container_id(), "web-1");
  EXPECT_EQ(hello.attached(0).class_name(), "agents");
}

TEST_F(SyncClientTest, AControlPlaneThatComesBackIsFound) {
  StartAgent();
  NextHello();
  server_.Stop();
  server_.Start();
  NextHello();
}

TEST_F(SyncClientTest, WithTheControlPlaneAwayTheLastKnownPolicyCounts) {
  ASSERT_TRUE(fixture_.cache()->Commit(TestDelta(5, {"web-1"}), {}).ok());
  server_.Stop();
  StartAgent();
  client_->Attached("web-1", "agents");
  const Enforcement known = Wait("web-1");
  EXPECT_EQ(known.kind, Kind::kEnforced);
  EXPECT_EQ(known.revision, 5u);
  EXPECT_THAT(known.reason, testing::HasSubstr("last known policy"));
  EXPECT_FALSE(client_->state().connected);

  client_->Attached("web-1", "another-class");
  const auto soon = std::chrono::steady_clock::now() + std::chrono::milliseconds(30);
  EXPECT_EQ(client_->WaitEnforced("web-1", soon).kind, Kind::kPending);
}

TEST_F(SyncClientTest, WhatIsToBeForgottenIsToldLater) {
  server_.Stop();
  StartAgent();
  client_->Attached("web-1", "agents");
  client_->Detached("web-1", /*forget=*/true);
  client_->Attached("web-1", "other");
  server_.Start();
  // Attached at first, since only what is attached can be detached.
  const v1::Hello hello = NextHello();
  ASSERT_EQ(hello.attached_size(), 1);
  EXPECT_EQ(hello.attached(0).container_id(), "web-1");
  EXPECT_TRUE(server_.Next().value().detached().forget());
  EXPECT_EQ(server_.Next().value().attached().class_name(), "other");
  // The first answer is for the record that goes.
  server_.Refuse("web-1", "no such record");
  server_.Accept("web-1", 3);
  v1::Delta delta = TestDelta(3, {"web-1"});
  delta.mutable_updated(0)->mutable_container()->set_class_name("other");
  Enforce(delta);
  EXPECT_EQ(Wait("web-1").kind, Kind::kEnforced);
}

TEST_F(SyncClientTest, WhatLivesOnceIsToldAsSuch) {
  StartAgent();
  NextHello();
  client_->Attached("web-1", "agents", /*ephemeral=*/true);
  EXPECT_TRUE(server_.Next().value().attached().ephemeral());
  client_->Attached("web-2", "agents");
  EXPECT_FALSE(server_.Next().value().attached().ephemeral());
  server_.Stop();
  server_.Start();
  const v1::Hello again = NextHello();
  ASSERT_EQ(again.attached_size(), 2);
  EXPECT_TRUE(again.attached(0).ephemeral());
  EXPECT_FALSE(again.attached(1).ephemeral());
}

TEST_F(SyncClientTest, AnOldRevisionIsNotEnforcedAndAskedForAgain) {
  StartAgent();
  NextHello();
  Enforce(TestDelta(9, {"a"}));
  server_.SendDelta(TestDelta(8, {"a"}));
  EXPECT_EQ(NextHello().known_size(), 1);
  EXPECT_EQ(fixture_.cache()->revision(), 9u);
}

TEST_F(SyncClientTest, StoppingSaysGoodbyeFirst) {
  StartAgent();
  NextHello();
  client_->Attached("web-1", "agents");
  server_.Next();
  client_->Detached("web-1", /*forget=*/true);
  client_->Stop();
  EXPECT_TRUE(server_.Next().value().detached().forget());
}

TEST_F(SyncClientTest, StoppingDoesNotWaitForWhatIsNotThere) {
  server_.Stop();
  StartAgent();
  const auto started = std::chrono::steady_clock::now();
  client_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(2));
}

}  // namespace
}  // namespace sallyport::agent
