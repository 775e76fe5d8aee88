#include "agent/proxy/handlers/lease_terms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace sallyport::proxy {
namespace {

using testing::HasSubstr;

v1::Lease For(int64_t seconds, int32_t nanos = 0) {
  v1::Lease lease;
  lease.mutable_ttl()->set_seconds(seconds);
  lease.mutable_ttl()->set_nanos(nanos);
  return lease;
}

std::string ErrorOf(const v1::Lease& lease) {
  return std::string(ValidateLease(lease).status().message());
}

TEST(LeaseTermsTest, FromAMillisecondToAnHour) {
  EXPECT_EQ(ValidateLease(For(0, 1'000'000))->ttl, std::chrono::milliseconds(1));
  EXPECT_EQ(ValidateLease(For(3600))->ttl, std::chrono::hours(1));
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  for (const v1::Lease& bad :
       {v1::Lease(), For(0), For(0, 999'999), For(3600, 1), For(3601), For(-1), For(1, -1),
        For(1, 1'000'000'000), For(kMost), For(std::numeric_limits<int64_t>::min())}) {
    EXPECT_THAT(ErrorOf(bad), HasSubstr("no ttl from 1 ms to 1 h")) << bad.ShortDebugString();
  }
}

TEST(LeaseTermsTest, MethodsAreTokens) {
  v1::Lease lease = For(1);
  lease.add_methods("GET");
  EXPECT_EQ(ValidateLease(lease)->methods, std::vector<std::string>{"GET"});
  for (const std::string& bad : {std::string(), std::string("G T"), std::string(33, 'A')}) {
    v1::Lease with = lease;
    with.add_methods(bad);
    EXPECT_THAT(ErrorOf(with), HasSubstr("is not a token"));
  }
  for (int i = 0; i < 16; ++i) lease.add_methods("PUT");
  EXPECT_THAT(ErrorOf(lease), HasSubstr("more than 16 methods"));
}

TEST(LeaseTermsTest, PrefixesArePlain) {
  for (const char* good : {"/", "/a", "/a/", "/a.b/..c/%41"}) {
    v1::Lease lease = For(1);
    lease.set_path_prefix(good);
    EXPECT_EQ(ValidateLease(lease)->path_prefix, good);
  }
  for (const std::string& bad :
       {std::string("a"), std::string("*"), std::string("/a?b"), std::string("/a#b"),
        std::string("/a/../b"), std::string("/a%2fb"), "/" + std::string(8192, 'x')}) {
    v1::Lease lease = For(1);
    lease.set_path_prefix(bad);
    EXPECT_THAT(ErrorOf(lease), HasSubstr("path_prefix")) << bad;
  }
}

// Servers do not agree on what these name.
TEST(LeaseTermsTest, HC41PathsThatAreNotPlain) {
  for (const char* path : {"",       "*",         "a",      "/a/../b", "/..",       "/.",   "/a/.",
                           "/a/./b", "/a/..;x/b", "/.;/b",  "//a",     "/a//b",     "/a//", "/a\\b",
                           "/a%2fb", "/a%2Fb",    "/a%5cb", "/a%5Cb",  "/%2e%2e/a", "/a%2E"}) {
    EXPECT_FALSE(IsPlainPath(path)) << path;
  }
  for (const char* path :
       {"/", "/a", "/a/b/", "/...", "/a.", "/.a", "/a;b=c/d", "/%20%", "/%2", "/a%252fb"}) {
    EXPECT_TRUE(IsPlainPath(path)) << path;
  }
}

TEST(LeaseTermsTest, BelowIsBySegments) {
  EXPECT_TRUE(LiesBelow("/a", "/a"));
  EXPECT_TRUE(LiesBelow("/a/", "/a"));
  EXPECT_TRUE(LiesBelow("/a/b", "/a"));
  EXPECT_TRUE(LiesBelow("/a/b", "/a/"));
  EXPECT_TRUE(LiesBelow("/", "/"));
  EXPECT_TRUE(LiesBelow("/x/y", "/"));
  EXPECT_FALSE(LiesBelow("/ab", "/a"));
  EXPECT_FALSE(LiesBelow("/a", "/a/"));
  EXPECT_FALSE(LiesBelow("/b/a", "/a"));
  EXPECT_FALSE(LiesBelow("/A", "/a"));
  EXPECT_FALSE(LiesBelow("/a;x", "/a"));
}

TEST(LeaseTermsTest, ThePathEndsWhereTheQueryBegins) {
  EXPECT_EQ(PathOf("/a?b?c"), "/a");
  EXPECT_EQ(PathOf("/a"), "/a");
}

}  // namespace
}  // namespace sallyport::proxy
