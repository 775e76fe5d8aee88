#include "agent/proxy/audit/record.h"

#include <gtest/gtest.h>

namespace sallyport::proxy {
namespace {

std::string LineOf(const AuditRecord& record) {
  std::string line;
  AppendJsonLine(record, &line);
  return line;
}

TEST(AuditRecordTest, LeavesOutWhatIsEmpty) {
  AuditRecord record;
  record.container_id = "web-1";
  record.status = 520;
  EXPECT_EQ(LineOf(record),
            "{\"time\":\"1970-01-01T00:00:00.000Z\",\"containerId\":\"web-1\",\"status\":520}\n");
}

TEST(AuditRecordTest, WouldDenyIsThereInMonitorMode) {
  AuditRecord record;
  record.decision = "egress";
  record.would_deny = "not_allowed";
  EXPECT_EQ(LineOf(record),
            "{\"time\":\"1970-01-01T00:00:00.000Z\",\"decision\":\"egress\","
            "\"wouldDeny\":\"not_allowed\"}\n");
}

TEST(AuditRecordTest, SaysThatALeaseDecided) {
  AuditRecord record;
  record.handler = "h";
  record.lease = true;
  EXPECT_EQ(LineOf(record),
            "{\"time\":\"1970-01-01T00:00:00.000Z\",\"handler\":\"h\",\"lease\":true}\n");
}

TEST(AuditRecordTest, SaysHowManyWereLeftOut) {
  AuditRecord record;
  record.suppressed = 12;
  EXPECT_EQ(LineOf(record), "{\"time\":\"1970-01-01T00:00:00.000Z\",\"suppressed\":12}\n");
}

TEST(AuditRecordTest, TimesHaveMilliseconds) {
  AuditRecord record;
  record.time = std::chrono::system_clock::time_point(std::chrono::milliseconds(1'700'000'000'007));
  EXPECT_EQ(LineOf(record), "{\"time\":\"2023-11-14T22:13:20.007Z\"}\n");
}

TEST(AuditRecordTest, TM03TimesGoOnAfter2038) {
  const auto time_of = [](int64_t seconds) {
    AuditRecord record;
    record.time = std::chrono::system_clock::time_point(std::chrono::seconds(seconds));
    return LineOf(record);
  };
  EXPECT_EQ(time_of(2'147'483'648), "{\"time\":\"2038-01-19T03:14:08.000Z\"}\n");
  EXPECT_EQ(time_of(4'102'444'800), "{\"time\":\"2100-01-01T00:00:00.000Z\"}\n");
}

struct EscapeCase {
  std::string in;
  std::string out;
};

class AuditEscapeTest : public testing::TestWithParam<EscapeCase> {};

TEST_P(AuditEscapeTest, NoRecordPassesForTwo) {
  AuditRecord record;
  record.path = GetParam().in;
  EXPECT_EQ(LineOf(record),
            "{\"time\":\"1970-01-01T00:00:00.000Z\",\"path\":\"" + GetParam().out + "\"}\n");
}

INSTANTIATE_TEST_SUITE_P(
    All, AuditEscapeTest,
    testing::Values(EscapeCase{"/a\n{\"time\"", "/a\\u000a{\\\"time\\\""}, EscapeCase{"\\", "\\\\"},
                    EscapeCase{"\x1b[31m", "\\u001b[31m"}, EscapeCase{"\x7f", "\\u007f"},
                    EscapeCase{"caf\xc3\xa9", "caf\xc3\xa9"}, EscapeCase{"\xff", "\xef\xbf\xbd"},
                    EscapeCase{"\xc3", "\xef\xbf\xbd"},
                    EscapeCase{"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
                    EscapeCase{"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
                    EscapeCase{"\xe0\x80\xaf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}));

TEST(AuditPathTest, LeavesOutTheQuery) {
  EXPECT_EQ(AuditPath("/a/b?token=secret"), "/a/b");
  EXPECT_EQ(AuditPath("/" + std::string(5000, 'a')).size(), 1024u);
}

}  // namespace
}  // namespace sallyport::proxy
