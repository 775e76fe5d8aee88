#include "agent/proxy/handlers/lease_header.h"

#include <map>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sallyport::proxy {
namespace {

using testing::HasSubstr;

std::string Read(const std::string& value) {
  const auto lease = ParseLeaseHeader(value);
  if (lease.ok()) return lease->ShortDebugString();
  EXPECT_EQ(lease.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(lease.status().message());
}

TEST(LeaseHeaderTest, IsRead) {
  const std::map<std::string, std::string> cases = {
      {"ttl=60", "ttl { seconds: 60 }"},
      {"ttl=0.5", "ttl { nanos: 500000000 }"},
      {"ttl=1.001", "ttl { seconds: 1 nanos: 1000000 }"},
      {"ttl=0", "ttl { }"},
      {"ttl=999999999999999", "ttl { seconds: 999999999999999 }"},
      {"ttl=60, max-uses=100, methods=(GET HEAD), path-prefix=\"/repos/acme\"",
       "ttl { seconds: 60 } max_uses: 100 methods: \"GET\" methods: \"HEAD\" "
       "path_prefix: \"/repos/acme\""},
      {"  path-prefix=\"/a b\\\\\\\"\"\t ,\tttl=1  ",
       "ttl { seconds: 1 } path_prefix: \"/a b\\\\\\\"\""},
      {"ttl=1,methods=( M-SEARCH  get )",
       "ttl { seconds: 1 } methods: \"M-SEARCH\" methods: \"get\""},
      {"ttl=1, methods=()", "ttl { seconds: 1 }"},
      {"max-uses=4294967295", "max_uses: 4294967295"},
  };
  for (const auto& [value, lease] : cases) EXPECT_EQ(Read(value), lease) << value;
}

TEST(LeaseHeaderTest, WhatCannotBeReadIsAnError) {
  const std::map<std::string, std::string> cases = {
      {"", "is no dictionary of RFC 9651"},
      {",", "is no dictionary"},
      {"60", "is no dictionary"},
      {"ttl=60,", "is no dictionary"},
      {"ttl=60 max-uses=1", "is no dictionary"},
      {"TTL=60", "is no dictionary"},
      {"ttl=60s", "is no dictionary"},
      {"ttl=60\n", "is no dictionary"},
      {"\tttl=60\x01", "is no dictionary"},
      {"ttl", "has \"ttl\" without a value"},
      {"ttl =60", "has \"ttl\" without a value"},
      {"ttl=60, ttl=61", "has \"ttl\" twice"},
      {"ttl=60, uses=1", "has the unknown member \"uses\""},
      {"ttl=60;x=1", "has parameters"},
      {"ttl=-1", "no number of seconds"},
      {"ttl=", "no number of seconds"},
      {"ttl=.5", "no number of seconds"},
      {"ttl=1.", "no number of seconds"},
      {"ttl=0.0001", "no number of seconds"},
      {"ttl=\"60\"", "no number of seconds"},
      {"ttl=1000000000000000", "no number of seconds"},
      {"ttl=1000000000000.0", "no number of seconds"},
      {"max-uses=", "no number of 32 bits"},
      {"max-uses=-1", "no number of 32 bits"},
      {"max-uses=4294967296", "no number of 32 bits"},
      {"max-uses=1.0", "is no dictionary"},
      {"methods=GET", "no list such as (GET HEAD)"},
      {"methods=(GET", "is no dictionary"},
      {"methods=(GET,HEAD)", "is no dictionary"},
      {"methods=(GET;q=1)", "is no dictionary"},
      {"methods=(\"GET\")", "is no dictionary"},
      {"methods=(1)", "is no dictionary"},
      {"path-prefix=/a", "no string such as"},
      {"path-prefix=\"\"", "an empty path-prefix"},
      {"path-prefix=\"/a", "no string such as"},
      {"path-prefix=\"/a\\b\"", "no string such as"},
      {"path-prefix=\"/\xc3\xa4\"", "no string such as"},
  };
  for (const auto& [value, error] : cases) EXPECT_THAT(Read(value), HasSubstr(error)) << value;
  EXPECT_THAT(Read(std::string("ttl=1\0", 6)), HasSubstr("is no dictionary"));
}

TEST(LeaseHeaderTest, SaysNothingOfValues) {
  for (const char* value :
       {"ttl=canary", "path-prefix=canary", "max-uses=canary", "methods=canary"})
    EXPECT_THAT(Read(value), testing::Not(HasSubstr("canary"))) << value;
}

// Each cut of a value is another value, or none.
TEST(LeaseHeaderTest, AnyCutIsReadOrRefused) {
  const std::string whole = "ttl=1.5, max-uses=3, methods=(GET HEAD), path-prefix=\"/a\\\"\"";
  for (size_t length = 0; length < whole.size(); ++length)
    EXPECT_FALSE(Read(whole.substr(0, length)).empty()) << length;
}

}  // namespace
}  // namespace sallyport::proxy
