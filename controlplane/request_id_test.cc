// A call that is repeated with its request id is carried out once.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <string>
#include <vector>

#include "controlplane/testing/fake_agent.h"
#include "controlplane/testing/test_server.h"

namespace sallyport {
namespace {

using grpc::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;
using Policy = v1::OutboundPolicy::Stub;

class RequestIdTest : public testing::Test {
 protected:
  RequestIdTest() {
    server_.ApplyClass("web");
    server_.CreateContainer("web-1", "web");
  }

  grpc::Status Edit(grpc::Status (Policy::*method)(grpc::ClientContext*, const v1::HostRequest&,
                                                   v1::MutationResult*),
                    const std::string& host, v1::MutationOptions options) {
    v1::HostRequest request;
    request.set_container_id("web-1");
    request.set_host(host);
    *request.mutable_options() = std::move(options);
    return Call(server_.policy(), method, request, &result_);
  }
  grpc::Status Allow(const std::string& host, const std::string& id) {
    v1::MutationOptions options = WaitStored();
    options.set_request_id(id);
    return Edit(&Policy::AllowHost, host, options);
  }
  uint64_t Stored() { return server_.GetContainer("web-1").stored_revision(); }

  TestServer server_;
  v1::MutationResult result_;
};

TEST_F(RequestIdTest, RepetitionChangesNothingAndAnswersTheSame) {
  ASSERT_TRUE(Allow("a.com", "r1").ok());
  const uint64_t first = result_.revision();
  ASSERT_TRUE(Edit(&Policy::RemoveAllowedHost, "a.com", WaitStored()).ok());
  const uint64_t removed = result_.revision();
  ASSERT_TRUE(Allow("a.com", "r1").ok());
  EXPECT_EQ(result_.revision(), first);
  EXPECT_EQ(Stored(), removed);
  EXPECT_EQ(server_.GetContainer("web-1").effective_allowed_hosts().hosts_size(), 0);
}

TEST_F(RequestIdTest, IsRememberedOverARestart) {
  ASSERT_TRUE(Allow("a.com", "r1").ok());
  const uint64_t first = result_.revision();
  server_.Restart();
  ASSERT_TRUE(Edit(&Policy::RemoveAllowedHost, "a.com", WaitStored()).ok());
  ASSERT_TRUE(Allow("a.com", "r1").ok());
  EXPECT_EQ(result_.revision(), first);
  EXPECT_EQ(Allow("b.com", "r1").error_code(), StatusCode::INVALID_ARGUMENT);
}

TEST_F(RequestIdTest, OtherContentOrMethodIsRefused) {
  ASSERT_TRUE(Allow("a.com", "r1").ok());
  const uint64_t before = Stored();
  const grpc::Status other = Allow("b.com", "r1");
  EXPECT_EQ(other.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(other.error_message(),
              HasSubstr("options.request_id: \"r1\" was used for another call"));
  v1::MutationOptions options;
  options.set_request_id("r1");
  EXPECT_EQ(Edit(&Policy::DenyHost, "a.com", options).error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Stored(), before);
}

TEST_F(RequestIdTest, OtherOptionsAreTheSameCall) {
  const uint64_t read = Stored();
  v1::MutationOptions options = WaitStored();
  options.set_request_id("r1");
  options.set_expected_revision(read);
  ASSERT_TRUE(Edit(&Policy::AllowHost, "a.com", options).ok());
  const uint64_t first = result_.revision();
  // The revision that was expected is gone, by this very call.
  ASSERT_TRUE(Edit(&Policy::AllowHost, "a.com", options).ok());
  EXPECT_EQ(result_.revision(), first);
}

TEST_F(RequestIdTest, CallThatChangedNothingIsRememberedToo) {
  ASSERT_TRUE(Edit(&Policy::AllowHost, "a.com", WaitStored()).ok());
  const uint64_t before = Stored();
  ASSERT_TRUE(Allow("a.com", "r1").ok());
  EXPECT_EQ(result_.revision(), before);
  EXPECT_EQ(Stored(), before) << "remembering takes no revision";
  ASSERT_TRUE(Edit(&Policy::RemoveAllowedHost, "a.com", WaitStored()).ok());
  EXPECT_EQ(result_.revision(), before + 1);
  ASSERT_TRUE(Allow("a.com", "r1").ok());
  EXPECT_EQ(result_.revision(), before);
  EXPECT_EQ(Stored(), before + 1);
}

TEST_F(RequestIdTest, RefusedCallIsNotRemembered) {
  EXPECT_EQ(Allow("a.com:1", "r1").error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(Allow("a.com", "r1").ok());
}

TEST_F(RequestIdTest, DeletedAndCreatedInBetween) {
  v1::DeleteContainerRequest request;
  request.set_container_id("web-1");
  request.mutable_options()->set_request_id("d1");
  v1::DeleteContainerResponse response;
  ASSERT_TRUE(Call(server_.policy(), &Policy::DeleteContainer, request, &response).ok());
  const uint64_t first = response.revision();
  server_.CreateContainer("web-1", "web");
  ASSERT_TRUE(Call(server_.policy(), &Policy::DeleteContainer, request, &response).ok());
  EXPECT_EQ(response.revision(), first);
  EXPECT_GT(Stored(), first) << "it is still there";
}

TEST_F(RequestIdTest, WrongIdsAreRefused) {
  for (const std::string& id : {std::string("a b"), std::string("é"), std::string(129, 'x')}) {
    const grpc::Status status = Allow("a.com", id);
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << id;
    EXPECT_THAT(status.error_message(), HasSubstr("options.request_id: "));
  }
  EXPECT_TRUE(Allow("a.com", std::string(124, 'x') + "-_.:").ok());
}

TEST_F(RequestIdTest, ManyAtOnceAreCarriedOutOnce) {
  const uint64_t before = Stored();
  std::vector<std::future<uint64_t>> calls;
  for (int i = 0; i < 20; ++i) {
    calls.push_back(std::async(std::launch::async, [this] {
      v1::HostRequest request;
      request.set_container_id("web-1");
      request.set_host("a.com");
      request.mutable_options()->set_request_id("r1");
      v1::MutationResult result;
      EXPECT_TRUE(Call(server_.policy(), &Policy::AllowHost, request, &result).ok());
      return result.revision();
    }));
  }
  for (auto& call : calls) EXPECT_EQ(call.get(), before + 1);
}

TEST_F(RequestIdTest, RepetitionWaitsUntilTheFirstIsEnforced) {
  FakeAgent agent(server_.NewChannel(), FakeAgent::Hello("host-7", {{"web-1", "web"}}),
                  FakeAgent::Acks::kByHand);
  const auto hello = agent.NextDelta();
  ASSERT_TRUE(hello.has_value());
  agent.Ack(hello->revision());
  ASSERT_TRUE(Allow("a.com", "r1").ok());
  const auto delta = agent.NextDelta();
  ASSERT_TRUE(delta.has_value());
  v1::MutationOptions options = WaitEnforced(std::chrono::milliseconds(10));
  options.set_request_id("r1");
  ASSERT_TRUE(Edit(&Policy::AllowHost, "a.com", options).ok());
  EXPECT_EQ(result_.enforcement(), v1::MutationResult::PENDING);
  agent.Ack(delta->revision());
  options.mutable_timeout()->set_seconds(10);
  ASSERT_TRUE(Edit(&Policy::AllowHost, "a.com", options).ok());
  EXPECT_EQ(result_.enforcement(), v1::MutationResult::ENFORCED);
  EXPECT_THAT(result_.enforced_hosts(), ElementsAre("host-7"));
}

}  // namespace
}  // namespace sallyport
