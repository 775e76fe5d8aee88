#include "agent/proxy/audit/class_stats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sallyport::proxy {
namespace {

AuditRecord Record(std::string class_name, std::string_view decision, std::string_view reason) {
  AuditRecord record;
  record.class_name = std::move(class_name);
  record.decision = decision;
  record.reason = reason;
  return record;
}

v1::UsageResponse Filled(const std::vector<const ClassStats*>& workers) {
  ClassStats::ByClass totals;
  for (const ClassStats* worker : workers) worker->AddTo(&totals);
  v1::UsageResponse usage;
  FillIn(totals, &usage);
  return usage;
}

TEST(ClassStatsTest, CountsDecisionsOfAllWorkersByClass) {
  ClassStats one;
  ClassStats other;
  one.Count(Record("ci", "egress", ""));
  one.Count(Record("ci", "deny", "not_allowed"));
  other.Count(Record("ci", "deny", "not_allowed"));
  other.Count(Record("agents", "deny", "denied_host"));

  const v1::UsageResponse usage = Filled({&one, &other});
  ASSERT_EQ(usage.classes_size(), 2);
  EXPECT_EQ(usage.classes(0).class_name(), "agents");
  const v1::UsageResponse::Class& ci = usage.classes(1);
  ASSERT_EQ(ci.decisions_size(), 2);
  EXPECT_EQ(ci.decisions(0).decision(), "deny");
  EXPECT_EQ(ci.decisions(0).reason(), "not_allowed");
  EXPECT_EQ(ci.decisions(0).count(), 2);
  EXPECT_EQ(ci.decisions(1).decision(), "egress");
  EXPECT_EQ(ci.decisions(1).count(), 1);
}

TEST(ClassStatsTest, SumsBytesAndTimesOfRequests) {
  ClassStats stats;
  AuditRecord request = Record("ci", "egress", "");
  request.method = "GET";
  request.bytes_sent = 10;
  request.bytes_received = 1000;
  for (const int64_t took : {0, 500, 501, 20'000'000}) {
    request.duration_us = took;
    stats.Count(request);
  }
  // No request: it says how long the connection was open.
  AuditRecord relay = Record("ci", "relay", "");
  relay.bytes_sent = 7;
  relay.duration_us = 1'000'000;
  stats.Count(relay);

  const v1::UsageResponse usage = Filled({&stats});
  const v1::UsageResponse::Class& ci = usage.classes(0);
  EXPECT_EQ(ci.bytes_sent(), 47);
  EXPECT_EQ(ci.bytes_received(), 4000);
  EXPECT_EQ(ci.requests(), 4);
  EXPECT_EQ(ci.durations_sum_us(), 20'001'001);
  EXPECT_EQ(ci.durations(0).at_most_us(), 500);
  EXPECT_EQ(ci.durations(0).count(), 2);
  EXPECT_EQ(ci.durations(1).count(), 1);
  uint64_t in_buckets = 0;
  for (const v1::UsageResponse::Class::Bucket& bucket : ci.durations())
    in_buckets += bucket.count();
  EXPECT_EQ(in_buckets, 3);
}

}  // namespace
}  // namespace sallyport::proxy
