#include "common/policy/snapshot.h"

#include <gtest/gtest.h>

#include "common/policy/policy_testing.h"

namespace sallyport {
namespace {

v1::Delta Delta(const std::string& text) { return FromText<v1::Delta>(text); }

constexpr char kClass[] = "updated { revision: 1 class { name: 'c' } } ";
constexpr char kContainer[] =
    "updated { revision: 2 container { container_id: 'i' class_name: 'c' } } ";
constexpr char kHandler[] =
    "updated { revision: 3 handler { name: 'h' endpoints: 'grpc://127.0.0.1:1' } } ";

TEST(SnapshotBuilderTest, PutsClassesAndContainersTogetherInAnyOrder) {
  SnapshotBuilder builder;
  const auto applied =
      builder.Apply(Delta(std::string("revision: 5 ") + kContainer + kHandler + kClass));
  EXPECT_TRUE(applied.rejected.empty());
  EXPECT_EQ(applied.snapshot->revision, 5u);
  ASSERT_TRUE(applied.snapshot->containers.contains("i"));
  EXPECT_EQ(applied.snapshot->containers.at("i")->revision, 2u);
  EXPECT_EQ(applied.snapshot->handlers.at("h")->endpoints[0].port, 1);
}

TEST(SnapshotBuilderTest, AContainerWithoutItsClassReachesNothing) {
  SnapshotBuilder builder;
  EXPECT_TRUE(
      builder.Apply(Delta(std::string("revision: 1 ") + kContainer)).snapshot->containers.empty());
  EXPECT_TRUE(builder.Apply(Delta(std::string("revision: 2 ") + kClass))
                  .snapshot->containers.contains("i"));
  const auto removed =
      builder.Apply(Delta("revision: 3 removed { kind: RESOURCE_KIND_CLASS name: 'c' }"));
  EXPECT_TRUE(removed.snapshot->containers.empty());
}

TEST(SnapshotBuilderTest, AChangeOfTheClassReachesItsContainersOnly) {
  SnapshotBuilder builder;
  const auto first = builder.Apply(
      Delta(std::string("revision: 3 ") + kClass + kContainer +
            "updated { revision: 1 class { name: 'd' } }"
            "updated { revision: 3 container { container_id: 'j' class_name: 'd' } }"));
  const auto second = builder.Apply(
      Delta("revision: 4 updated { revision: 4 class { name: 'c' enable_internet: false } }"));
  EXPECT_FALSE(second.snapshot->containers.at("i")->enable_internet);
  EXPECT_EQ(second.snapshot->containers.at("i")->revision, 4u);
  EXPECT_EQ(second.snapshot->containers.at("j"), first.snapshot->containers.at("j"));
  // The older snapshot is what it was.
  EXPECT_TRUE(first.snapshot->containers.at("i")->enable_internet);
}

TEST(SnapshotBuilderTest, AnUnusableResourceIsRejectedAloneAndTheLastGoodOneStays) {
  SnapshotBuilder builder;
  builder.Apply(Delta(std::string("revision: 3 ") + kClass + kContainer + kHandler));
  const auto applied = builder.Apply(
      Delta("revision: 4"
            " updated { revision: 4 class { name: 'c' denied_hosts { hosts: '.bad' } } }"
            " updated { revision: 4 container { container_id: 'i' class_name: 'c' enable_internet: "
            "false } }"
            " updated { revision: 4 handler { name: 'h' endpoints: 'ftp://x' } }"
            " updated { revision: 4 }"));
  ASSERT_EQ(applied.rejected.size(), 3u);
  EXPECT_EQ(applied.rejected[0].key().kind(), v1::RESOURCE_KIND_CLASS);
  EXPECT_EQ(applied.rejected[0].key().name(), "c");
  EXPECT_NE(applied.rejected[0].reason().find("denied_hosts[0]: \".bad\""), std::string::npos);
  EXPECT_EQ(applied.rejected[1].key().name(), "h");
  EXPECT_EQ(applied.snapshot->revision, 4u);
  EXPECT_FALSE(applied.snapshot->containers.at("i")->enable_internet);
  EXPECT_FALSE(applied.snapshot->containers.at("i")->denied_hosts.has_value());
  EXPECT_EQ(applied.snapshot->handlers.at("h")->revision, 3u);
}

TEST(SnapshotBuilderTest, AnEmptyDeltaRemovesNothing) {
  SnapshotBuilder builder;
  builder.Apply(Delta(std::string("revision: 3 ") + kClass + kContainer + kHandler));
  const auto applied = builder.Apply(Delta("revision: 4"));
  EXPECT_EQ(applied.snapshot->containers.size(), 1u);
  EXPECT_EQ(applied.snapshot->handlers.size(), 1u);
  EXPECT_EQ(applied.snapshot->revision, 4u);
}

TEST(SnapshotBuilderTest, RemovesWhatIsNamed) {
  SnapshotBuilder builder;
  builder.Apply(Delta(std::string("revision: 3 ") + kClass + kContainer + kHandler));
  const auto applied =
      builder.Apply(Delta("revision: 4 removed { kind: RESOURCE_KIND_CONTAINER name: 'i' }"
                          " removed { kind: RESOURCE_KIND_HANDLER name: 'h' }"
                          " removed { kind: RESOURCE_KIND_HANDLER name: 'absent' }"));
  EXPECT_TRUE(applied.rejected.empty());
  EXPECT_TRUE(applied.snapshot->containers.empty());
  EXPECT_TRUE(applied.snapshot->handlers.empty());
}

TEST(SnapshotBuilderTest, AResetForgetsEverythingNotNamed) {
  SnapshotBuilder builder;
  builder.Apply(Delta(std::string("revision: 9 ") + kClass + kContainer + kHandler));
  const auto applied = builder.Apply(Delta(std::string("reset: true revision: 2 ") + kHandler));
  EXPECT_EQ(applied.snapshot->revision, 2u);
  EXPECT_TRUE(applied.snapshot->containers.empty());
  EXPECT_EQ(applied.snapshot->handlers.size(), 1u);
}

TEST(SnapshotBuilderTest, AResetWithAnUnusableVersionKeepsTheLastGoodOne) {
  SnapshotBuilder builder;
  builder.Apply(Delta(std::string("revision: 9 ") + kClass + kContainer + kHandler));
  const auto applied =
      builder.Apply(Delta(std::string("reset: true revision: 2 ") + kContainer +
                          "updated { revision: 2 class { name: 'c' http_ports: 0 } }"
                          "updated { revision: 2 handler { name: 'h' endpoints: 'nowhere' } }"));
  EXPECT_EQ(applied.rejected.size(), 2u);
  EXPECT_TRUE(applied.snapshot->containers.contains("i"));
  EXPECT_TRUE(applied.snapshot->handlers.contains("h"));
}

TEST(SnapshotBuilderTest, AnOvertakenDeltaChangesNothing) {
  SnapshotBuilder builder;
  builder.Apply(Delta(std::string("revision: 9 ") + kClass + kContainer));
  const auto applied =
      builder.Apply(Delta("revision: 8 removed { kind: RESOURCE_KIND_CONTAINER name: 'i' }"));
  EXPECT_EQ(applied.snapshot->revision, 9u);
  EXPECT_TRUE(applied.snapshot->containers.contains("i"));
}

}  // namespace
}  // namespace sallyport
