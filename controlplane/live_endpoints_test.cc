// What the store has while services come and go, and it fails.

#include "controlplane/live_endpoints.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <optional>
#include <thread>

#include "controlplane/store/memory_store.h"

namespace sallyport {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;
using Leaving = LiveEndpoints::Leaving;

const LiveEndpoints::Key kKey{"kv", "grpc://a:1"};
constexpr milliseconds kLong{60'000};

class FakeStream final : public LiveStream {
 public:
  void Stop(const absl::Status& why) override { stopped_.set_value(why); }
  void Recheck() override {}
  absl::Status Stopped() { return stopped_.get_future().get(); }

 private:
  std::promise<absl::Status> stopped_;
};

class LiveEndpointsTest : public testing::Test {
 protected:
  // `live`: what the store holds at the start.
  void Start(LiveEndpoints::Clock::duration grace_at_start, const v1::Handler& handler) {
    store_ = MakeMemoryStore(1, faults_);
    store_->OnChange([this] {
      if (live_.has_value()) live_->OnStoreChange();
    });
    const auto written = store_->Write([&](Transaction& transaction) {
      absl::Status status = transaction.PutHandler(handler);
      for (const v1::LiveEndpoint& live : handler.live_endpoints())
        status.Update(transaction.PutLiveEndpoint(handler.name(), live));
      return status;
    });
    ASSERT_TRUE(written.ok());
    live_.emplace(store_.get(), &hub_, grace_at_start);
    writer_.emplace(store_.get(), 100);
    live_->Start(&*writer_);
  }
  void StartEmpty() {
    v1::Handler handler;
    handler.set_name("kv");
    Start(kLong, handler);
  }
  ~LiveEndpointsTest() override {
    live_->Stop();
    writer_.reset();
  }

  absl::Status Join(const std::shared_ptr<FakeStream>& stream, milliseconds grace = kLong) {
    std::promise<absl::Status> joined;
    const absl::Status taken = live_->Join(kKey, stream, grace, [&](const Store::Written& written) {
      joined.set_value(written.status());
    });
    return taken.ok() ? joined.get_future().get() : taken;
  }
  void Leave(const FakeStream& stream, Leaving leaving) {
    std::promise<void> left;
    live_->Leave(kKey, &stream, leaving, [&] { left.set_value(); });
    left.get_future().wait();
  }
  std::vector<std::string> Live() {
    std::vector<std::string> texts;
    const auto record = store_->Read()->handlers.Find("kv");
    if (record == nullptr) return {"no handler"};
    for (const v1::LiveEndpoint& live : record->value.live_endpoints())
      texts.push_back(live.endpoint());
    return texts;
  }
  bool AwaitNone() {
    for (int i = 0; i < 2000 && !Live().empty(); ++i) std::this_thread::sleep_for(milliseconds(5));
    return Live().empty();
  }

  const std::shared_ptr<StorageFaults> faults_ = std::make_shared<StorageFaults>();
  std::unique_ptr<Store> store_;
  SyncHub hub_;
  std::optional<LiveEndpoints> live_;
  std::optional<WriteQueue> writer_;
};

v1::Handler WithLive() {
  v1::Handler handler;
  handler.set_name("kv");
  handler.add_live_endpoints()->set_endpoint(kKey.endpoint);
  return handler;
}

TEST_F(LiveEndpointsTest, WhatWasStoredGoesWhenNobodyComesBack) {
  Start(milliseconds(30), WithLive());
  EXPECT_TRUE(AwaitNone());
}

TEST_F(LiveEndpointsTest, WhatWasStoredStaysWhenItsServiceComesBack) {
  Start(kLong, WithLive());
  const int commits = faults_->commits();
  const auto stream = std::make_shared<FakeStream>();
  ASSERT_TRUE(Join(stream, milliseconds(0)).ok());
  EXPECT_EQ(faults_->commits(), commits) << "nothing has changed";
  Leave(*stream, Leaving::kBrokenOff);
  EXPECT_TRUE(AwaitNone()) << "by its own period from here on";
}

TEST_F(LiveEndpointsTest, AStoreThatFailsIsToldLater) {
  StartEmpty();
  const auto stream = std::make_shared<FakeStream>();
  faults_->Fail(absl::UnavailableError("the disk is full"));
  EXPECT_TRUE(absl::IsUnavailable(Join(stream)));
  faults_->Fail(absl::OkStatus());
  ASSERT_TRUE(Join(stream).ok());
  EXPECT_THAT(Live(), ElementsAre(kKey.endpoint));
  faults_->Fail(absl::UnavailableError("the disk is full"));
  Leave(*stream, Leaving::kInOrder);
  EXPECT_THAT(Live(), ElementsAre(kKey.endpoint));
  faults_->Fail(absl::OkStatus());
  EXPECT_TRUE(AwaitNone());
}

TEST_F(LiveEndpointsTest, AHandlerThatIsRemovedByTheSameCommitEndsTheStream) {
  StartEmpty();
  std::promise<void> entered;
  std::promise<void> open;
  // What is given while an edit runs is one batch.
  ASSERT_TRUE(writer_->Write(
      [&](Transaction&) {
        entered.set_value();
        open.get_future().wait();
        return absl::OkStatus();
      },
      [](const Store::Written&) {}));
  entered.get_future().wait();
  const auto stream = std::make_shared<FakeStream>();
  ASSERT_TRUE(live_->Join(kKey, stream, kLong, [](const Store::Written&) {}).ok());
  ASSERT_TRUE(writer_->Write(
      [](Transaction& transaction) {
        transaction.DeleteHandler("kv");
        return absl::OkStatus();
      },
      [](const Store::Written&) {}));
  open.set_value();
  EXPECT_TRUE(absl::IsNotFound(stream->Stopped()));
}

TEST_F(LiveEndpointsTest, ARestoreEndsTheStreamsAndWaitsForThemAnew) {
  StartEmpty();
  const auto stream = std::make_shared<FakeStream>();
  ASSERT_TRUE(Join(stream).ok());
  const std::shared_ptr<const State> backup = store_->Read();
  ASSERT_TRUE(writer_->Write(
      [backup](Transaction& transaction) {
        transaction.Restore(*backup, 2);
        return absl::OkStatus();
      },
      [](const Store::Written&) {}));
  EXPECT_TRUE(absl::IsUnavailable(stream->Stopped()));
  EXPECT_THAT(Live(), ElementsAre(kKey.endpoint));
  const auto again = std::make_shared<FakeStream>();
  ASSERT_TRUE(Join(again).ok());
  Leave(*again, Leaving::kInOrder);
  EXPECT_THAT(Live(), IsEmpty());
}

TEST_F(LiveEndpointsTest, OnlySoManyStreamsOfAHandler) {
  StartEmpty();
  std::vector<std::shared_ptr<FakeStream>> streams;
  for (size_t i = 0; i < LiveEndpoints::kMaxStreamsOfHandler; ++i) {
    streams.push_back(std::make_shared<FakeStream>());
    ASSERT_TRUE(Join(streams.back()).ok());
  }
  EXPECT_TRUE(absl::IsResourceExhausted(Join(std::make_shared<FakeStream>())));
  Leave(*streams.front(), Leaving::kInOrder);
  EXPECT_TRUE(Join(streams.front()).ok());
}

TEST_F(LiveEndpointsTest, StoppingKeepsWhatIsStored) {
  StartEmpty();
  const auto stream = std::make_shared<FakeStream>();
  ASSERT_TRUE(Join(stream).ok());
  live_->Stop();
  EXPECT_TRUE(absl::IsUnavailable(stream->Stopped()));
  Leave(*stream, Leaving::kInOrder);
  EXPECT_THAT(Live(), ElementsAre(kKey.endpoint));
  EXPECT_TRUE(absl::IsUnavailable(Join(stream)));
}

}  // namespace
}  // namespace sallyport
