#include "controlplane/watch_feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "common/base/strings.h"
#include "controlplane/store/memory_store.h"

namespace sallyport {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string ToString(const v1::WatchResponse& event) {
  switch (event.event_case()) {
    case v1::WatchResponse::kUpdated:
      if (event.updated().has_class_()) return StrCat("class ", event.updated().class_().name());
      if (event.updated().has_handler()) {
        return StrCat("handler ", event.updated().handler().name());
      }
      return StrCat(event.updated().container().container_id(), " @", event.updated().revision());
    case v1::WatchResponse::kRemoved:
      return StrCat("no ", event.removed().name());
    case v1::WatchResponse::kPlaced:
      return StrCat(event.placed().container_id(), " on ", event.placed().host());
    case v1::WatchResponse::kEnforced:
      return StrCat(event.enforced().host(), event.enforced().connected() ? " " : " away ",
                    event.enforced().revision(), event.enforced().rejected().empty() ? "" : " !");
    default:
      return StrCat("in sync ", event.in_sync());
  }
}

// web-1 of class web on host-1, batch-1 of class batch on host-2.
class WatchFeedTest : public testing::Test {
 protected:
  WatchFeedTest() {
    Write([](Transaction& transaction) {
      v1::ContainerClass value;
      for (const char* name : {"web", "batch"}) {
        value.set_name(name);
        transaction.PutClass(value);
      }
      transaction.PutContainer(Container("web-1", "web"));
      transaction.PutContainer(Container("batch-1", "batch"));
      transaction.Place("web-1", "host-1");
      transaction.Place("batch-1", "host-2");
    });
    stream_1_ = waiters_.Connected("host-1");
    stream_2_ = waiters_.Connected("host-2");
  }

  static v1::ContainerPolicy Container(const std::string& id, const std::string& class_name) {
    v1::ContainerPolicy policy;
    policy.set_container_id(id);
    policy.set_class_name(class_name);
    return policy;
  }
  void Write(const std::function<void(Transaction&)>& edit) {
    ASSERT_TRUE(store_
                    ->Write([&](Transaction& transaction) {
                      edit(transaction);
                      return absl::OkStatus();
                    })
                    .ok());
  }
  void SetInternet(const std::string& id, const std::string& class_name, bool enable) {
    v1::ContainerPolicy policy = Container(id, class_name);
    policy.set_enable_internet(enable);
    Write([&](Transaction& transaction) { transaction.PutContainer(policy); });
  }
  // All that there is to say now.
  static std::vector<std::string> Rest(WatchFeed* feed) {
    std::vector<std::string> said;
    while (const auto event = feed->Next()) said.push_back(ToString(*event));
    return said;
  }

  const std::unique_ptr<Store> store_ = MakeMemoryStore();
  Waiters waiters_{store_.get()};
  WatchFeed feed_{store_.get(), &waiters_, ""};
  uint64_t stream_1_ = 0;
  uint64_t stream_2_ = 0;
};

TEST_F(WatchFeedTest, BeginsWithWhatThereIs) {
  const std::vector<std::string> said = Rest(&feed_);
  EXPECT_THAT(said, testing::UnorderedElementsAre(
                        "class web", "class batch", "web-1 @1", "batch-1 @1", "web-1 on host-1",
                        "batch-1 on host-2", "host-1 0", "host-2 0", "in sync 1"));
  EXPECT_EQ(said.back(), "in sync 1");
  EXPECT_THAT(Rest(&feed_), IsEmpty());
}

TEST_F(WatchFeedTest, AnEmptyStoreIsInSync) {
  const auto empty = MakeMemoryStore();
  Waiters waiters(empty.get());
  WatchFeed feed(empty.get(), &waiters, "");
  EXPECT_THAT(Rest(&feed), ElementsAre("in sync 0"));
}

TEST_F(WatchFeedTest, SaysTheDifferenceAndNothingElse) {
  Rest(&feed_);
  SetInternet("web-1", "web", false);
  EXPECT_THAT(Rest(&feed_), ElementsAre("web-1 @2", "in sync 2"));
}

TEST_F(WatchFeedTest, VersionsInBetweenAreSkipped) {
  Rest(&feed_);
  for (const bool enable : {false, true, false}) SetInternet("web-1", "web", enable);
  EXPECT_THAT(Rest(&feed_), ElementsAre("web-1 @4", "in sync 4"));
}

// What changes while a round is being said comes in the next one.
TEST_F(WatchFeedTest, ChangesDuringARound) {
  Rest(&feed_);
  SetInternet("web-1", "web", false);
  EXPECT_EQ(ToString(*feed_.Next()), "web-1 @2");
  SetInternet("web-1", "web", true);
  SetInternet("batch-1", "batch", true);
  EXPECT_EQ(ToString(*feed_.Next()), "in sync 2");
  EXPECT_THAT(Rest(&feed_), testing::UnorderedElementsAre("web-1 @3", "batch-1 @4", "in sync 4"));
}

TEST_F(WatchFeedTest, DeletedIsRemoved) {
  Rest(&feed_);
  Write([](Transaction& transaction) { transaction.DeleteContainer("web-1"); });
  EXPECT_THAT(Rest(&feed_), ElementsAre("no web-1", "in sync 2"));
}

TEST_F(WatchFeedTest, DeletedAndMadeAnewInBetweenIsSaidAsItIs) {
  Rest(&feed_);
  Write([](Transaction& transaction) { transaction.DeleteContainer("web-1"); });
  Write([](Transaction& transaction) { transaction.PutContainer(Container("web-1", "web")); });
  EXPECT_THAT(Rest(&feed_), ElementsAre("web-1 @3", "web-1 on ", "in sync 3"));
}

TEST_F(WatchFeedTest, MovedContainerIsPlaced) {
  Rest(&feed_);
  Write([](Transaction& transaction) { transaction.Place("web-1", "host-2"); });
  EXPECT_THAT(Rest(&feed_), ElementsAre("web-1 on host-2", "in sync 2"));
}

TEST_F(WatchFeedTest, ReportsOfOneHostAreOneEvent) {
  Rest(&feed_);
  waiters_.Report("host-1", stream_1_, {5, {}});
  waiters_.Report("host-1", stream_1_, {6, {}});
  waiters_.Report("host-1", stream_1_, {7, {{ResourceId::Class("web"), "too new"}}});
  EXPECT_THAT(Rest(&feed_), ElementsAre("host-1 7 !"));
  waiters_.Report("host-1", stream_1_, {7, {{ResourceId::Class("web"), "too new"}}});
  EXPECT_THAT(Rest(&feed_), IsEmpty()) << "no news";
}

TEST_F(WatchFeedTest, HostsThatComeAndGo) {
  Rest(&feed_);
  waiters_.Report("host-1", stream_1_, {5, {}});
  waiters_.Disconnected("host-1", stream_1_);
  EXPECT_THAT(Rest(&feed_), ElementsAre("host-1 away 5"));
  const uint64_t stream = waiters_.Connected("host-9");
  EXPECT_THAT(Rest(&feed_), ElementsAre("host-9 0"));
  waiters_.Disconnected("host-9", stream);
  EXPECT_THAT(Rest(&feed_), ElementsAre("host-9 away 0"));
}

TEST_F(WatchFeedTest, HostsAreKnownFromTheStoreAfterARestart) {
  Waiters restarted(store_.get());
  WatchFeed feed(store_.get(), &restarted, "web-1");
  EXPECT_THAT(Rest(&feed), ElementsAre("class web", "web-1 @1", "web-1 on host-1", "host-1 away 0",
                                       "in sync 1"));
}

// A host that never rests must not keep the store's changes from being said.
TEST_F(WatchFeedTest, NewsWithoutEndLeaveRoomForChanges) {
  Rest(&feed_);
  SetInternet("web-1", "web", false);
  bool in_sync = false;
  for (uint64_t i = 2; i < 20 && !in_sync; ++i) {
    waiters_.Report("host-1", stream_1_, {i, {}});
    const auto event = feed_.Next();
    in_sync = event.has_value() && event->in_sync() == 2;
  }
  EXPECT_TRUE(in_sync);
}

TEST_F(WatchFeedTest, OneContainer) {
  WatchFeed one(store_.get(), &waiters_, "web-1");
  EXPECT_THAT(Rest(&one),
              ElementsAre("class web", "web-1 @1", "web-1 on host-1", "host-1 0", "in sync 1"));
  SetInternet("batch-1", "batch", false);
  waiters_.Report("host-2", stream_2_, {2, {}});
  EXPECT_THAT(Rest(&one), IsEmpty());
  waiters_.Report("host-1", stream_1_, {2, {}});
  EXPECT_THAT(Rest(&one), ElementsAre("host-1 2"));

  Write([](Transaction& transaction) { transaction.Place("web-1", "host-2"); });
  EXPECT_THAT(Rest(&one), ElementsAre("web-1 on host-2", "host-2 2", "in sync 3"))
      << "the news of its new host, old as they are";
}

TEST_F(WatchFeedTest, HandlersOfOneContainerComeAndGoWithItsRules) {
  WatchFeed one(store_.get(), &waiters_, "web-1");
  Rest(&one);
  Write([](Transaction& transaction) {
    for (const char* name : {"kv", "unused"}) {
      v1::Handler handler;
      handler.set_name(name);
      ASSERT_TRUE(transaction.PutHandler(handler).ok());
    }
    v1::ContainerPolicy policy = Container("web-1", "web");
    policy.mutable_outbound()->set_handler("kv");
    transaction.PutContainer(policy);
  });
  EXPECT_THAT(Rest(&one), ElementsAre("web-1 @2", "handler kv", "in sync 2"));
  SetInternet("web-1", "web", true);
  EXPECT_THAT(Rest(&one), ElementsAre("web-1 @3", "no kv", "in sync 3"));
}

// Everything is watched without them too.
TEST_F(WatchFeedTest, SecretsOfOneContainerAreNotSaid) {
  WatchFeed one(store_.get(), &waiters_, "web-1");
  Rest(&one);
  Write([](Transaction& transaction) {
    transaction.PutSecret("token", "sealed");
    v1::Handler handler;
    handler.set_name("github");
    handler.mutable_builtin()->add_set_headers()->mutable_secret()->set_secret("token");
    ASSERT_TRUE(transaction.PutHandler(handler).ok());
    v1::ContainerPolicy policy = Container("web-1", "web");
    policy.mutable_outbound()->set_handler("github");
    transaction.PutContainer(policy);
  });
  EXPECT_THAT(Rest(&one), ElementsAre("web-1 @2", "handler github", "in sync 2"));
  Write([](Transaction& transaction) { transaction.PutSecret("token", "sealed anew"); });
  EXPECT_THAT(Rest(&one), IsEmpty());
  SetInternet("web-1", "web", true);
  EXPECT_THAT(Rest(&one), ElementsAre("web-1 @4", "no github", "in sync 4"));
}

}  // namespace
}  // namespace sallyport
