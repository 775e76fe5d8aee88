// Watch over a real socket and the real store, with fake agents.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/strings.h"
#include "controlplane/testing/fake_agent.h"
#include "controlplane/testing/test_server.h"
#include "controlplane/watch_hub.h"

namespace sallyport {
namespace {

using grpc::StatusCode;
using testing::HasSubstr;
using Policy = v1::OutboundPolicy::Stub;
using Event = v1::WatchResponse;

// A caller of Watch that reads when the test says so. A stream without news ends after thirty
// seconds.
class Watching {
 public:
  explicit Watching(TestServer* server, const std::string& container_id = "")
      : Watching(server, server->channel(), container_id) {}
  Watching(TestServer*, const std::shared_ptr<grpc::Channel>& channel,
           const std::string& container_id)
      : stub_(v1::OutboundPolicy::NewStub(channel)) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    context_.set_wait_for_ready(true);
    v1::WatchRequest request;
    request.set_container_id(container_id);
    reader_ = stub_->Watch(&context_, request);
  }
  ~Watching() { Cancel(); }

  // Reads on until an event satisfies `wanted`; false: the stream ended first.
  bool Until(const std::function<bool(const Event&)>& wanted) {
    Event event;
    while (reader_->Read(&event)) {
      if (wanted(event)) return true;
    }
    return false;
  }
  bool UntilInSync() {
    return Until([](const Event& event) { return event.has_in_sync(); });
  }
  bool UntilUpdated(const std::string& container_id, uint64_t revision) {
    return Until([&](const Event& event) {
      return event.updated().container().container_id() == container_id &&
             event.updated().revision() == revision;
    });
  }
  bool UntilEnforced(const std::string& host, uint64_t revision) {
    return Until([&](const Event& event) {
      return event.enforced().host() == host && event.enforced().revision() >= revision;
    });
  }
  void Cancel() { context_.TryCancel(); }
  grpc::Status End() {
    Event event;
    while (reader_->Read(&event)) {
    }
    return reader_->Finish();
  }

 private:
  const std::unique_ptr<v1::OutboundPolicy::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<Event>> reader_;
};

class WatchTest : public testing::Test {
 protected:
  WatchTest() { server_.ApplyClass("web"); }

  uint64_t SetAllowed(const std::string& id, const std::vector<std::string>& hosts) {
    v1::HostsRequest request;
    request.set_container_id(id);
    for (const std::string& host : hosts) request.add_hosts(host);
    *request.mutable_options() = WaitStored();
    v1::MutationResult result;
    EXPECT_TRUE(Call(server_.policy(), &Policy::SetAllowedHosts, request, &result).ok());
    return result.revision();
  }
  void Delete(const std::string& id) {
    v1::DeleteContainerRequest request;
    request.set_container_id(id);
    v1::DeleteContainerResponse response;
    EXPECT_TRUE(Call(server_.policy(), &Policy::DeleteContainer, request, &response).ok());
  }

  TestServer server_;
};

TEST_F(WatchTest, ChangesAndHowFarTheyAreEnforced) {
  FakeAgent agent(server_.NewChannel(), FakeAgent::Hello("host-7", {{"web-1", "web"}}),
                  FakeAgent::Acks::kAtOnce);
  ASSERT_TRUE(agent.NextDelta().has_value());
  Watching watching(&server_);
  ASSERT_TRUE(watching.UntilInSync());
  const uint64_t revision = SetAllowed("web-1", {"a.com"});
  EXPECT_TRUE(watching.UntilUpdated("web-1", revision));
  EXPECT_TRUE(watching.UntilEnforced("host-7", revision));
}

TEST_F(WatchTest, AgentThatGoesAwayIsSaid) {
  auto agent = std::make_unique<FakeAgent>(
      server_.NewChannel(), FakeAgent::Hello("host-7", {{"w", "web"}}), FakeAgent::Acks::kAtOnce);
  ASSERT_TRUE(agent->NextDelta().has_value());
  Watching watching(&server_);
  ASSERT_TRUE(watching.UntilEnforced("host-7", 1));
  agent.reset();
  EXPECT_TRUE(watching.Until([](const Event& event) {
    return event.enforced().host() == "host-7" && !event.enforced().connected();
  }));
}

TEST_F(WatchTest, OneContainerDeletedAndMadeAnew) {
  server_.CreateContainer("web-1", "web");
  Watching watching(&server_, "web-1");
  ASSERT_TRUE(watching.UntilInSync());
  Delete("web-1");
  EXPECT_TRUE(watching.Until([](const Event& event) { return event.removed().name() == "web-1"; }));
  const uint64_t revision = server_.CreateContainer("web-1", "web");
  EXPECT_TRUE(watching.UntilUpdated("web-1", revision));
}

TEST_F(WatchTest, ContainerThatIsNotThere) {
  EXPECT_EQ(Watching(&server_, "nope").End().error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(Watching(&server_, "no/pe").End().error_code(), StatusCode::INVALID_ARGUMENT);
}

// Far more than the connection holds, while nobody reads: versions are skipped, nothing is missed.
TEST_F(WatchTest, SlowReaderGetsTheNewestVersionOfEverything) {
  std::vector<std::string> hosts;
  for (int i = 0; i < 5'000; ++i) hosts.push_back(StrCat("a-rather-long-name-", i, ".example.com"));
  for (const char* id : {"web-1", "web-2"}) server_.CreateContainer(id, "web");
  Watching slow(&server_, server_.NewChannel(), "");
  ASSERT_TRUE(slow.UntilInSync());
  constexpr int kRounds = 40;
  uint64_t first = 0;
  for (int i = 0; i < kRounds; ++i) {
    hosts[0] = StrCat("version-", i, ".example.com");
    const uint64_t revision = SetAllowed("web-1", hosts);
    if (first == 0) first = revision;
  }
  const uint64_t other = SetAllowed("web-2", {"a.com"});
  const uint64_t created = server_.CreateContainer("web-3", "web");

  uint64_t newest = 0;
  uint64_t seen_other = 0;
  int versions = 0;
  ASSERT_TRUE(slow.Until([&](const Event& event) {
    if (event.updated().container().container_id() == "web-1") {
      newest = event.updated().revision();
      ++versions;
    }
    if (event.updated().container().container_id() == "web-2") {
      seen_other = event.updated().revision();
    }
    return event.in_sync() == created;
  }));
  EXPECT_EQ(newest, first + kRounds - 1);
  EXPECT_EQ(seen_other, other);
  EXPECT_LT(versions, kRounds);
}

TEST_F(WatchTest, TooManyWatchers) {
  std::vector<std::unique_ptr<Watching>> watching;
  for (size_t i = 0; i < WatchHub::kMaxWatchers; ++i) {
    watching.push_back(std::make_unique<Watching>(&server_));
    ASSERT_TRUE(watching.back()->UntilInSync());
  }
  const grpc::Status refused = Watching(&server_).End();
  EXPECT_EQ(refused.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(refused.error_message(), HasSubstr("100 watchers"));
  // A place becomes free.
  watching.pop_back();
  for (int attempt = 0; attempt < 1'000; ++attempt) {
    Watching next(&server_);
    if (next.UntilInSync()) return;
  }
  FAIL() << "the place of a watcher that went away stays taken";
}

TEST_F(WatchTest, StopEndsThemAndTheNextOneBeginsAnew) {
  server_.CreateContainer("web-1", "web");
  Watching before(&server_);
  ASSERT_TRUE(before.UntilInSync());
  // Does not read.
  Watching idle(&server_, server_.NewChannel(), "");
  server_.Restart();
  EXPECT_EQ(before.End().error_code(), StatusCode::UNAVAILABLE);
  const uint64_t revision = server_.GetContainer("web-1").stored_revision();
  Watching after(&server_);
  EXPECT_TRUE(after.UntilUpdated("web-1", revision));
}

}  // namespace
}  // namespace sallyport
