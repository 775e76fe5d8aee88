#include "common/pki/identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sallyport::pki {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(IdentityTest, ThereAndBack) {
  for (const Role role : kRoles) {
    const auto identity = MakeIdentity(role, {"host-7.example"});
    ASSERT_TRUE(identity.ok());
    const auto parsed = ParseIdentity(identity->ToUris());
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->role, role);
    EXPECT_THAT(parsed->names, ElementsAre("host-7.example"));
  }
}

TEST(IdentityTest, HandlersHaveNames) {
  const auto identity = MakeIdentity(Role::kHandler, {"kv", "read_only"});
  ASSERT_TRUE(identity.ok());
  EXPECT_THAT(identity->ToUris(),
              ElementsAre("sallyport://handler/kv", "sallyport://handler/read_only"));
  EXPECT_TRUE(identity->HasName("kv"));
  EXPECT_FALSE(identity->HasName("k"));
  EXPECT_FALSE(identity->HasName("KV"));
  EXPECT_EQ(identity->ToString(), "handler kv, read_only");
}

TEST(IdentityTest, NamesThatAreNone) {
  for (const std::string& name :
       {std::string(), std::string("-x"), std::string(".x"), std::string("a/b"), std::string("a b"),
        std::string("a,URI:b"), std::string("a\0b", 3), std::string("ä"), std::string(254, 'a')}) {
    EXPECT_FALSE(MakeIdentity(Role::kHandler, {name}).ok()) << name;
  }
  EXPECT_FALSE(MakeIdentity(Role::kAgent, {}).ok());
  EXPECT_FALSE(MakeIdentity(Role::kAgent, {"a", "b"}).ok());
  EXPECT_FALSE(MakeIdentity(Role::kHandler, {"a", "a"}).ok());
}

TEST(IdentityTest, WrongUris) {
  const std::vector<std::string> cases[] = {
      {},
      {"sallyport://agent/"},
      {"sallyport://agent"},
      {"sallyport:///host-7"},
      {"sallyport://root/host-7"},
      {"sallyport://Agent/host-7"},
      {"SALLYPORT://agent/host-7"},
      {"sallyport:agent/host-7"},
      {"sallyport://agent/host-7/x"},
      {"sallyport://agent/host-7?x"},
      {"sallyport://agent/host%2D7"},
      {"sallyport://agent@x/host-7"},
      {std::string("sallyport://agent/host-7\0.evil", 30)},
      {"spiffe://example/agent"},
      {"sallyport://agent/host-7", "spiffe://example/agent"},
      {"sallyport://agent/host-7", "sallyport://agent/host-8"},
      {"sallyport://agent/host-7", "sallyport://admin/host-7"},
  };
  for (const std::vector<std::string>& uris : cases) {
    const auto identity = ParseIdentity(uris);
    EXPECT_EQ(identity.status().code(), absl::StatusCode::kUnauthenticated)
        << (uris.empty() ? "none" : uris.back());
  }
  EXPECT_THAT(std::string(ParseIdentity(cases[0]).status().message()),
              HasSubstr("common name does not count"));
}

}  // namespace
}  // namespace sallyport::pki
