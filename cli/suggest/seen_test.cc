#include "cli/suggest/seen.h"

#include <gtest/gtest.h>

namespace sallyport::cli {
namespace {

struct Case {
  std::string decision, reason, would_deny;
  bool covered, covered_with_denied;
};

v1::AuditRecord Record(const std::string& host) {
  v1::AuditRecord record;
  record.set_class_name("c");
  record.set_container_id("web-1");
  record.set_host(host);
  record.set_decision("egress");
  return record;
}

TEST(SeenHostsTest, WhatCounts) {
  for (const Case& one : {
           Case{"egress", "", "", true, true},
           Case{"handler", "", "", true, true},
           Case{"relay", "", "", true, true},
           Case{"error", "origin_timeout", "", true, true},
           Case{"egress", "", "not_allowed", true, true},
           Case{"relay", "", "no_internet", true, true},
           Case{"deny", "not_allowed", "", false, true},
           Case{"deny", "no_internet", "", false, true},
           Case{"deny", "denied_host", "", false, false},
           Case{"egress", "", "denied_host", false, false},
           Case{"deny", "forbidden_address", "", false, false},
           Case{"deny", "no_policy", "", false, false},
           Case{"reject", "bad_request", "", false, false},
       }) {
    for (const bool with_denied : {false, true}) {
      SeenHosts seen({"c", "", with_denied});
      v1::AuditRecord record = Record("a.com");
      record.set_decision(one.decision);
      record.set_reason(one.reason);
      record.set_would_deny(one.would_deny);
      seen.Add(record);
      EXPECT_EQ(seen.hosts().contains("a.com"), with_denied ? one.covered_with_denied : one.covered)
          << one.decision << " " << one.reason << " " << one.would_deny;
    }
  }
}

TEST(SeenHostsTest, OnlyTheClassAndContainer) {
  SeenHosts seen({"c", "web-1", false});
  v1::AuditRecord other_class = Record("a.com");
  other_class.set_class_name("d");
  v1::AuditRecord other_container = Record("b.com");
  other_container.set_container_id("web-2");
  for (const v1::AuditRecord& record : {other_class, other_container, Record("c.com")})
    seen.Add(record);
  EXPECT_EQ(seen.hosts(), std::set<std::string>{"c.com"});
  EXPECT_EQ(seen.records(), 1u);
}

TEST(SeenHostsTest, AddressesWhereThereIsNoName) {
  SeenHosts seen({"c", "", false});
  v1::AuditRecord raw = Record("");
  raw.set_dialled("203.0.113.7");
  for (const v1::AuditRecord& record : {raw, Record("2001:db8::1"), Record("*.a.com"), Record("")})
    seen.Add(record);
  EXPECT_EQ(seen.hosts(), (std::set<std::string>{"203.0.113.7", "2001:db8::1"}));
}

TEST(SeenHostsTest, WhatAlsoPassedIsNotOnlyDenied) {
  SeenHosts seen({"c", "", false});
  for (const char* host : {"a.com", "b.com"}) {
    v1::AuditRecord denied = Record(host);
    denied.set_decision("deny");
    denied.set_reason("not_allowed");
    seen.Add(denied);
  }
  seen.Add(Record("a.com"));
  EXPECT_EQ(seen.only_denied(), std::set<std::string>{"b.com"});
}

}  // namespace
}  // namespace sallyport::cli
