#include "controlplane/call_stats.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sallyport {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

TEST(CallStatsTest, CountsByMethodAndCode) {
  CallStats stats;
  stats.Count("/sallyport.v1.OutboundPolicy/SetAllowedHosts", 0, milliseconds(2));
  stats.Count("/sallyport.v1.OutboundPolicy/SetAllowedHosts", 0, milliseconds(20));
  stats.Count("/sallyport.v1.OutboundPolicy/SetAllowedHosts", 5, milliseconds(20));
  MetricPage page;
  stats.AddTo(&page);
  const std::string method = "{method=\"OutboundPolicy.SetAllowedHosts\"";
  for (const std::string& line : {
           "sallyportd_calls_total" + method + ",code=\"OK\"} 2\n",
           "sallyportd_calls_total" + method + ",code=\"NOT_FOUND\"} 1\n",
           "sallyportd_call_duration_seconds_bucket" + method + ",le=\"0.001\"} 0\n",
           "sallyportd_call_duration_seconds_bucket" + method + ",le=\"0.0025\"} 1\n",
           "sallyportd_call_duration_seconds_bucket" + method + ",le=\"5\"} 3\n",
           "sallyportd_call_duration_seconds_count" + method + "} 3\n",
       }) {
    EXPECT_THAT(page.text(), HasSubstr(line));
  }
}

}  // namespace
}  // namespace sallyport
