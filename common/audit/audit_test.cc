#include <gtest/gtest.h>

#include "common/audit/filter.h"
#include "common/audit/json_line.h"
#include "common/audit/json_text.h"

namespace sallyport {
namespace {

v1::AuditRecord Record(const std::string& container, const std::string& class_name,
                       const std::string& decision) {
  v1::AuditRecord record;
  record.set_container_id(container);
  record.set_class_name(class_name);
  record.set_decision(decision);
  return record;
}

TEST(Wants, FieldsNarrowEachOtherDown) {
  const v1::AuditRecord denied = Record("c-1", "open", "deny");
  const v1::AuditRecord passed = Record("c-1", "open", "egress");
  v1::AuditRecord monitored = passed;
  monitored.set_would_deny("not_allowed");
  v1::AuditFilter filter;
  EXPECT_TRUE(Wants(filter, passed));
  filter.set_denied(true);
  EXPECT_FALSE(Wants(filter, passed));
  EXPECT_TRUE(Wants(filter, denied));
  EXPECT_TRUE(Wants(filter, monitored));
  filter.set_container_id("c-1");
  EXPECT_TRUE(Wants(filter, denied));
  EXPECT_FALSE(Wants(filter, Record("c-10", "open", "deny")));
  filter.set_class_name("closed");
  EXPECT_FALSE(Wants(filter, denied));
}

TEST(ToJsonLine, IsAsInTheFile) {
  v1::AuditRecord record = Record("c-1", "open", "egress");
  record.set_port(443);
  record.set_revision(1'234'567'890'123);
  record.set_lease(true);
  record.set_path("/\x1b\"\\\n");
  EXPECT_EQ(ToJsonLine(record),
            R"({"containerId":"c-1","className":"open","port":443,"path":"/\u001b\"\\\u000a",)"
            R"("decision":"egress","revision":1234567890123,"lease":true})");
  EXPECT_EQ(ToJsonLine({}), "{}");
}

TEST(ToUtf8, ReplacesWhatIsNoUtf8) {
  EXPECT_EQ(ToUtf8("/a\xc3\xa4\x1b"), "/a\xc3\xa4\x1b");
  EXPECT_EQ(ToUtf8("\xff\xc3"), "\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(ToUtf8("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
}

}  // namespace
}  // namespace sallyport
