#include "controlplane/concern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sallyport {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Key;

// web-1 on host-1 (its own rule names `own`), web-2 on host-2, batch-1 nowhere; class web's rules
// name `shared`, and nothing names `unused`.
State Fleet() {
  State state;
  v1::ContainerClass web;
  web.set_name("web");
  web.mutable_outbound()->set_handler("shared");
  state.SetClass(web, 1);
  v1::ContainerClass batch;
  batch.set_name("batch");
  state.SetClass(batch, 2);
  for (const char* name : {"own", "shared", "unused"}) {
    v1::Handler handler;
    handler.set_name(name);
    state.SetHandler(handler, 3);
  }
  v1::ContainerPolicy policy;
  policy.set_class_name("web");
  policy.set_container_id("web-2");
  state.SetContainer(policy, 4);
  policy.set_container_id("web-1");
  policy.add_outbound_by_host()->mutable_handler()->set_handler("own");
  policy.add_outbound_by_host()->mutable_handler()->set_handler("missing");
  state.SetContainer(policy, 5);
  policy.set_container_id("batch-1");
  policy.set_class_name("batch");
  state.SetContainer(policy, 6);
  state.Place("web-1", "host-1");
  state.Place("web-2", "host-2");
  return state;
}

TEST(ConcernTest, HostNeedsContainersClassesAndNamedHandlers) {
  EXPECT_THAT(ResourcesNeeded(Fleet(), {"web-1"}),
              ElementsAre(Key(ResourceId::Class("web")), Key(ResourceId::Container("web-1")),
                          Key(ResourceId::Handler("own")), Key(ResourceId::Handler("shared"))));
  EXPECT_THAT(ResourcesNeeded(Fleet(), {}), IsEmpty());
  EXPECT_THAT(ResourcesNeeded(Fleet(), {"unheard-of"}), IsEmpty());
}

TEST(ConcernTest, ConcernedHosts) {
  const State state = Fleet();
  const struct {
    ResourceId resource;
    std::set<std::string> hosts;
  } cases[] = {
      {ResourceId::Container("web-1"), {"host-1"}},
      {ResourceId::Container("batch-1"), {}},
      {ResourceId::Class("web"), {"host-1", "host-2"}},
      {ResourceId::Class("batch"), {}},
      {ResourceId::Handler("own"), {"host-1"}},
      {ResourceId::Handler("shared"), {"host-1", "host-2"}},
      {ResourceId::Handler("missing"), {"host-1"}},
      {ResourceId::Handler("unused"), {}},
  };
  for (const auto& one : cases) {
    EXPECT_EQ(ConcernedHosts(state, one.resource), one.hosts) << one.resource.ToString();
    for (const char* host : {"host-1", "host-2", "unheard-of"}) {
      EXPECT_EQ(IsConcerned(state, host, one.resource), one.hosts.contains(host))
          << host << ", " << one.resource.ToString();
    }
  }
}

TEST(ConcernTest, SecretsGoWhereTheHandlersGoThatReferToThem) {
  State state = Fleet();
  v1::Handler handler;
  handler.set_name("own");
  handler.mutable_builtin()->add_set_headers()->mutable_secret()->set_secret("token");
  handler.mutable_builtin()->add_set_headers()->mutable_secret()->set_file("elsewhere");
  state.SetHandler(handler, 7);
  EXPECT_EQ(ConcernedHosts(state, ResourceId::Secret("token")), std::set<std::string>{"host-1"});
  EXPECT_FALSE(ResourcesNeeded(state, {"web-1"}).contains(ResourceId::Secret("token")));
  state.SetSecret("token", "sealed", 8);
  state.SetSecret("unused", "sealed", 9);
  const ResourceRevisions needed = ResourcesNeeded(state, {"web-1"});
  ASSERT_TRUE(needed.contains(ResourceId::Secret("token")));
  EXPECT_EQ(needed.at(ResourceId::Secret("token")), 8u);
  EXPECT_FALSE(needed.contains(ResourceId::Secret("unused")));
  EXPECT_FALSE(ResourcesNeeded(state, {"web-2"}).contains(ResourceId::Secret("token")));
  EXPECT_TRUE(ConcernedHosts(state, ResourceId::Secret("unused")).empty());
  EXPECT_EQ(StoredRevision(state, ResourceId::Container("web-1")), 8u);
}

TEST(ConcernTest, DeltaHoldsTheDifference) {
  const State state = Fleet();
  v1::Delta delta;
  FillDelta(state, ResourcesNeeded(state, {"web-1"}),
            {{ResourceId::Class("web"), 1},
             {ResourceId::Container("web-1"), 4},
             {ResourceId::Handler("shared"), 3},
             {ResourceId::Handler("gone"), 2}},
            &delta);
  ASSERT_EQ(delta.updated_size(), 2);
  EXPECT_EQ(delta.updated(0).container().container_id(), "web-1");
  EXPECT_EQ(delta.updated(0).revision(), 5u);
  EXPECT_EQ(delta.updated(1).handler().name(), "own");
  ASSERT_EQ(delta.removed_size(), 1);
  EXPECT_EQ(delta.removed(0).name(), "gone");
}

}  // namespace
}  // namespace sallyport
