#include "agent/proxy/tls/lru_map.h"

#include <gtest/gtest.h>

namespace sallyport::proxy {
namespace {

TEST(LruMapTest, ForgetsWhatWasNotUsedForLongest) {
  LruMap<int> map(2);
  map.Set("a", 1);
  map.Set("b", 2);
  ASSERT_NE(map.Find("a"), nullptr);
  map.Set("c", 3);
  EXPECT_EQ(map.Find("b"), nullptr);
  EXPECT_EQ(*map.Find("a"), 1);
  EXPECT_EQ(*map.Find("c"), 3);
}

TEST(LruMapTest, SaysWhatItWouldForget) {
  LruMap<int> map(2);
  map.Set("a", 1);
  map.Set("b", 2);
  EXPECT_EQ(map.Oldest().first, "a");
  map.Find("a");
  EXPECT_EQ(map.Oldest().first, "b");
}

TEST(LruMapTest, ReplacesWithoutGrowing) {
  LruMap<int> map(2);
  map.Set("a", 1);
  map.Set("b", 2);
  EXPECT_EQ(*map.Set("a", 3), 3);
  EXPECT_EQ(map.size(), 2u);
  EXPECT_EQ(*map.Find("b"), 2);
}

TEST(LruMapTest, Erases) {
  LruMap<int> map(2);
  map.Set("a", 1);
  map.Erase("a");
  map.Erase("b");
  EXPECT_EQ(map.Find("a"), nullptr);
  EXPECT_EQ(map.size(), 0u);
}

}  // namespace
}  // namespace sallyport::proxy
