#include "controlplane/store/store.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "controlplane/store/memory_store.h"

namespace sallyport {
namespace {

v1::ContainerClass Class(const std::string& name, bool internet = true) {
  v1::ContainerClass value;
  value.set_name(name);
  value.set_enable_internet(internet);
  return value;
}

v1::ContainerPolicy Container(const std::string& id) {
  v1::ContainerPolicy value;
  value.set_container_id(id);
  value.set_class_name("web");
  return value;
}

uint64_t Put(Store* store, const v1::ContainerClass& value) {
  return (*store->Write([&](Transaction& transaction) {
           transaction.PutClass(value);
           return absl::OkStatus();
         }))
      ->revision;
}

TEST(StoreTest, EachChangeTakesOneRevision) {
  const auto store = MakeMemoryStore();
  EXPECT_EQ(Put(store.get(), Class("a")), 1u);
  EXPECT_EQ(Put(store.get(), Class("b")), 2u);
  EXPECT_EQ(store->Read()->classes.Find("a")->revision, 1u);
  EXPECT_EQ(store->Read()->revision, 2u);
}

TEST(StoreTest, SameValueTakesNoRevision) {
  const auto store = MakeMemoryStore();
  Put(store.get(), Class("a"));
  EXPECT_EQ(Put(store.get(), Class("a")), 1u);
  EXPECT_EQ(Put(store.get(), Class("a", false)), 2u);
}

TEST(StoreTest, FailedEditChangesNothing) {
  const auto store = MakeMemoryStore();
  const auto result = store->Write([](Transaction& transaction) {
    transaction.PutClass(Class("a"));
    return absl::InvalidArgumentError("no");
  });
  EXPECT_TRUE(absl::IsInvalidArgument(result.status()));
  EXPECT_EQ(store->Read()->classes.size(), 0u);
}

TEST(StoreTest, FailedCommitChangesNothing) {
  const auto faults = std::make_shared<StorageFaults>();
  const auto store = MakeMemoryStore(1, faults);
  faults->Fail(absl::UnavailableError("disk full"));
  const auto result = store->Write([](Transaction& transaction) {
    transaction.PutClass(Class("a"));
    return absl::OkStatus();
  });
  EXPECT_TRUE(absl::IsUnavailable(result.status()));
  EXPECT_EQ(store->Read()->revision, 0u);
  EXPECT_EQ(store->Read()->classes.size(), 0u);

  faults->Fail(absl::OkStatus());
  EXPECT_EQ(Put(store.get(), Class("a")), 1u);
}

TEST(StoreTest, ReaderKeepsItsState) {
  const auto store = MakeMemoryStore();
  Put(store.get(), Class("a"));
  const auto before = store->Read();
  Put(store.get(), Class("b"));
  EXPECT_EQ(before->classes.size(), 1u);
  EXPECT_EQ(before->revision, 1u);
}

TEST(StoreTest, UpdateOfUnknownContainerIsNotFound) {
  const auto store = MakeMemoryStore();
  const auto result = store->Write([](Transaction& transaction) {
    return transaction.UpdateContainer("web-1",
                                       [](v1::ContainerPolicy*) { return absl::OkStatus(); });
  });
  EXPECT_TRUE(absl::IsNotFound(result.status()));
}

TEST(StoreTest, DeletingAContainerTakesItsPlacementAlong) {
  const auto store = MakeMemoryStore();
  ASSERT_TRUE(store
                  ->Write([](Transaction& transaction) {
                    transaction.PutContainer(Container("web-1"));
                    transaction.PutContainer(Container("web-2"));
                    transaction.Place("web-1", "host-7");
                    transaction.Place("web-2", "host-7");
                    return absl::OkStatus();
                  })
                  .ok());
  EXPECT_EQ(store->Read()->hosts.Find("host-7")->size(), 2u);
  ASSERT_TRUE(store
                  ->Write([](Transaction& transaction) {
                    transaction.DeleteContainer("web-1");
                    transaction.Place("web-2", "host-8");
                    return absl::OkStatus();
                  })
                  .ok());
  EXPECT_EQ(store->Read()->placements.Find("web-1"), nullptr);
  EXPECT_EQ(store->Read()->hosts.Find("host-7"), nullptr);
  EXPECT_EQ(*store->Read()->placements.Find("web-2"), "host-8");
}

TEST(StoreTest, HandlersOfRulesAreDerived) {
  const auto store = MakeMemoryStore();
  v1::ContainerPolicy policy = Container("web-1");
  policy.add_outbound_by_host()->mutable_handler()->set_handler("kv");
  policy.add_intercepts()->mutable_handler()->set_handler("audit");
  policy.mutable_outbound()->set_handler("kv");
  ASSERT_TRUE(store
                  ->Write([&](Transaction& transaction) {
                    transaction.PutContainer(policy);
                    return absl::OkStatus();
                  })
                  .ok());
  EXPECT_EQ(store->Read()->containers.Find("web-1")->handlers,
            (std::vector<std::string>{"audit", "kv"}));
}

// No update may be lost when many write to one container.
TEST(StoreTest, ConcurrentEditsAllCount) {
  const auto store = MakeMemoryStore();
  ASSERT_TRUE(store
                  ->Write([](Transaction& transaction) {
                    transaction.PutContainer(Container("web-1"));
                    return absl::OkStatus();
                  })
                  .ok());
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 4; ++writer) {
    writers.emplace_back([&store, writer] {
      for (int i = 0; i < 50; ++i) {
        const auto result = store->Write([&](Transaction& transaction) {
          return transaction.UpdateContainer("web-1", [&](v1::ContainerPolicy* policy) {
            policy->mutable_allowed_hosts()->add_added(std::to_string(writer * 50 + i));
            return absl::OkStatus();
          });
        });
        EXPECT_TRUE(result.ok());
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(store->Read()->containers.Find("web-1")->value.allowed_hosts().added_size(), 200);
  EXPECT_EQ(store->Read()->revision, 201u);
}

TEST(CowMapTest, ChangesDoNotShowInCopies) {
  CowMap<int> map;
  for (int i = 0; i < 1'000; ++i) map.Set(std::to_string(i), std::make_shared<int>(i));
  const CowMap<int> copy = map;
  map.Set("7", std::make_shared<int>(70));
  map.Set("7", std::make_shared<int>(71));
  map.Erase("8");
  EXPECT_EQ(*copy.Find("7"), 7);
  EXPECT_EQ(*copy.Find("8"), 8);
  EXPECT_EQ(copy.size(), 1'000u);
  EXPECT_EQ(*map.Find("7"), 71);
  EXPECT_EQ(map.Find("8"), nullptr);
}

TEST(CowMapTest, DifferenceOfTwoCopies) {
  CowMap<int> before;
  for (int i = 0; i < 1'000; ++i) before.Set(std::to_string(i), std::make_shared<int>(i));
  CowMap<int> after = before;
  after.Set("7", std::make_shared<int>(70));
  after.Erase("8");
  after.Set("new", std::make_shared<int>(1));
  std::map<std::string, std::pair<int, int>> differences;  // -1: there is none.
  for (size_t shard = 0; shard < CowMap<int>::kShards; ++shard) {
    CowMap<int>::DiffShard(before, after, shard,
                           [&](const std::string& name, const auto& old, const auto& last) {
                             differences[name] = {old ? *old : -1, last ? *last : -1};
                           });
  }
  const std::map<std::string, std::pair<int, int>> expected = {
      {"7", {7, 70}}, {"8", {8, -1}}, {"new", {-1, 1}}};
  EXPECT_EQ(differences, expected);
}

TEST(StoreTest, RestoreIsOneChangeWithANewEpoch) {
  const auto store = MakeMemoryStore(/*epoch=*/1);
  Put(store.get(), Class("web"));
  const auto backup = store->Read();
  Put(store.get(), Class("web", false));
  Put(store.get(), Class("later"));
  const auto restored = *store->Write([&](Transaction& transaction) {
    transaction.Restore(*backup, /*epoch=*/2);
    return absl::OkStatus();
  });
  EXPECT_EQ(restored->epoch, 2u);
  EXPECT_EQ(restored->revision, 4u);
  EXPECT_EQ(restored->classes.size(), 1u);
  EXPECT_TRUE(restored->classes.Find("web")->value.enable_internet());
  EXPECT_EQ(restored->classes.Find("web")->revision, 4u);
  EXPECT_EQ(Put(store.get(), Class("later")), 5u);
}

// A revision that somebody remembers means nothing else afterwards.
TEST(StoreTest, RestoreTakesNoRevisionTwice) {
  const auto store = MakeMemoryStore();
  State backup;
  backup.revision = 100;
  const auto restored = *store->Write([&](Transaction& transaction) {
    transaction.Restore(backup, /*epoch=*/2);
    return absl::OkStatus();
  });
  EXPECT_EQ(restored->revision, 101u);
}

TEST(StoreTest, RestoreLeavesContainersWhereTheyAre) {
  const auto store = MakeMemoryStore();
  const auto place = [&](const std::string& id, const std::string& host) {
    ASSERT_TRUE(store
                    ->Write([&](Transaction& transaction) {
                      transaction.PutContainer(Container(id));
                      transaction.Place(id, host);
                      return absl::OkStatus();
                    })
                    .ok());
  };
  place("old", "host-1");
  const auto backup = store->Read();
  place("old", "host-2");
  place("new", "host-2");
  const auto restored = *store->Write([&](Transaction& transaction) {
    transaction.Restore(*backup, /*epoch=*/2);
    return absl::OkStatus();
  });
  EXPECT_EQ(*restored->placements.Find("old"), "host-2");
  EXPECT_EQ(restored->containers.Find("new"), nullptr);
  EXPECT_EQ(*restored->placements.Find("new"), "host-2");
}

}  // namespace
}  // namespace sallyport
