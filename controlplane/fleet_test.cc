// Many agents, slow ones, and clients that mean harm: what one does must not reach the others.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "common/base/strings.h"
#include "controlplane/testing/fake_agent.h"
#include "controlplane/testing/raw_http2.h"
#include "controlplane/testing/test_server.h"

namespace sallyport {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::Not;
using Policy = v1::OutboundPolicy::Stub;
using Acks = FakeAgent::Acks;

class FleetTest : public testing::Test {
 protected:
  FleetTest() {
    server_.ApplyClass("web");
    server_.ApplyClass("batch");
  }

  v1::MutationResult ApplyClass(const v1::ContainerClass& value,
                                const v1::MutationOptions& options) {
    v1::ApplyClassRequest request;
    *request.mutable_class_() = value;
    *request.mutable_options() = options;
    v1::ApplyClassResponse response;
    EXPECT_TRUE(Call(server_.policy(), &Policy::ApplyClass, request, &response).ok());
    return response.result();
  }
  std::unique_ptr<FakeAgent> Agent(const std::string& host, const std::string& class_name) {
    auto agent = std::make_unique<FakeAgent>(
        server_.NewChannel(), FakeAgent::Hello(host, {{StrCat(host, "-1"), class_name}}),
        Acks::kAtOnce);
    EXPECT_TRUE(agent->NextDelta().has_value());
    return agent;
  }
  // Whether a client of another connection is served.
  bool Serves() {
    const auto policy = v1::OutboundPolicy::NewStub(server_.NewChannel());
    v1::GetClassRequest request;
    request.set_name("web");
    v1::GetClassResponse response;
    return Call(*policy, &Policy::GetClass, request, &response).ok();
  }

  TestServer server_;
};

TEST_F(FleetTest, ClassChangeWakesTheHostsOfTheClassOnly) {
  constexpr int kHosts = 40;
  std::vector<std::unique_ptr<FakeAgent>> web;
  std::vector<std::unique_ptr<FakeAgent>> batch;
  for (int i = 0; i < kHosts; ++i) {
    web.push_back(Agent(StrCat("web-host-", i), "web"));
    batch.push_back(Agent(StrCat("batch-host-", i), "batch"));
  }
  v1::ContainerClass value;
  value.set_name("web");
  value.set_enable_internet(false);
  const v1::MutationResult result = ApplyClass(value, {});
  EXPECT_EQ(result.enforcement(), v1::MutationResult::ENFORCED);
  EXPECT_EQ(result.enforced_hosts_size(), kHosts);
  for (const auto& agent : web) {
    const auto delta = agent->NextDelta();
    ASSERT_TRUE(delta.has_value());
    ASSERT_EQ(delta->updated_size(), 1);
    EXPECT_EQ(delta->updated(0).revision(), result.revision());
  }
  // A host that was woken has reported the revision, also when there was nothing for it.
  for (int i = 0; i < kHosts; ++i) {
    EXPECT_LT(server_.GetContainer(StrCat("batch-host-", i, "-1")).enforced_revision(),
              result.revision());
  }
}

TEST_F(FleetTest, AgentThatDoesNotReadHoldsUpNobody) {
  const auto stub = v1::PolicySync::NewStub(server_.NewChannel());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  const auto slow = stub->Sync(&context);
  v1::SyncRequest hello;
  *hello.mutable_hello() = FakeAgent::Hello("slow", {{"slow-1", "web"}});
  ASSERT_TRUE(slow->Write(hello));
  v1::SyncResponse response;
  ASSERT_TRUE(slow->Read(&response));
  ASSERT_EQ(response.attach_result().error(), "");
  const auto fast = Agent("fast", "web");

  // More, in all, than the connection takes up.
  v1::ContainerClass value;
  value.set_name("web");
  for (int i = 0; i < 5'000; ++i) {
    value.mutable_allowed_hosts()->add_hosts(StrCat("a-rather-long-name-", i, ".example.com"));
  }
  v1::MutationResult result;
  for (int version = 0; version < 20; ++version) {
    value.mutable_deny_response()->set_body(std::to_string(version));
    result = ApplyClass(value, WaitEnforced(milliseconds(50)));
    ASSERT_TRUE(fast->WaitToHave(ResourceId::Class("web"), result.revision()));
  }
  EXPECT_THAT(result.pending_hosts(), testing::Contains("slow"));
  EXPECT_THAT(result.pending_hosts(), Not(testing::Contains("fast")));

  // When it reads at last, versions are skipped.
  uint64_t has = 0;
  int deltas = 0;
  while (has != result.revision() && slow->Read(&response)) {
    if (!response.has_delta()) continue;
    ++deltas;
    for (const v1::Resource& resource : response.delta().updated()) {
      if (resource.has_class_()) has = resource.revision();
    }
    v1::SyncRequest ack;
    ack.mutable_ack()->set_revision(response.delta().revision());
    slow->Write(ack);
  }
  EXPECT_EQ(has, result.revision());
  EXPECT_LE(deltas, 2);
  context.TryCancel();
}

TEST_F(FleetTest, PingFloodEndsTheConnectionThatSendsIt) {
  RawHttp2 client(server_.socket());
  for (int i = 0; i < 100; ++i) client.Send(RawHttp2::kPing, 0, 0, std::string(8, 'x'));
  const auto goaway = client.Await(RawHttp2::kGoAway);
  ASSERT_TRUE(goaway.has_value());
  constexpr uint32_t kEnhanceYourCalm = 11;
  EXPECT_EQ(RawHttp2::Number(goaway->payload, 4), kEnhanceYourCalm);
  EXPECT_TRUE(client.AwaitEnd());
  EXPECT_TRUE(Serves());
}

TEST_F(FleetTest, StreamsOfAConnectionAreLimited) {
  RawHttp2 client(server_.socket());
  const auto settings = client.Await(RawHttp2::kSettings);
  ASSERT_TRUE(settings.has_value());
  constexpr uint16_t kMaxConcurrentStreams = 3;
  std::vector<uint32_t> limits;
  for (size_t i = 0; i + 6 <= settings->payload.size(); i += 6) {
    if (RawHttp2::Number(settings->payload, i) >> 16 == kMaxConcurrentStreams) {
      limits.push_back(RawHttp2::Number(settings->payload, i + 2));
    }
  }
  EXPECT_THAT(limits, ElementsAre(1000));
}

// CVE-2023-44487.
TEST_F(FleetTest, RapidResetsAreSurvived) {
  RawHttp2 client(server_.socket());
  constexpr char kCancel[] = {0, 0, 0, 8};
  for (uint32_t i = 0; i < 5'000; ++i) {
    client.OpenStream(2 * i + 1, "/sallyport.v1.PolicySync/Sync");
    client.Send(RawHttp2::kResetStream, 0, 2 * i + 1, std::string(kCancel, sizeof(kCancel)));
  }
  EXPECT_TRUE(Serves());
}

}  // namespace
}  // namespace sallyport
