#include "common/metrics/metric_page.h"

#include <gtest/gtest.h>

namespace sallyport {
namespace {

TEST(MetricPageTest, SaysNameHelpAndTypeOncePerName) {
  MetricPage page;
  page.Counter("a_total", "How often.", 3, {{"class", "ci"}});
  page.Counter("a_total", "How often.", 12345678901, {{"class", "agents"}, {"reason", "x"}});
  page.Gauge("b", "How much.", 0.25);
  EXPECT_EQ(page.text(),
            "# HELP a_total How often.\n"
            "# TYPE a_total counter\n"
            "a_total{class=\"ci\"} 3\n"
            "a_total{class=\"agents\",reason=\"x\"} 12345678901\n"
            "# HELP b How much.\n"
            "# TYPE b gauge\n"
            "b 0.25\n");
}

TEST(MetricPageTest, BucketsOfAHistogramIncludeThoseBefore) {
  MetricPage page;
  page.Histogram("t_seconds", "Times.", {{0.005, 2}, {1, 3}}, 7, 12.5, {{"class", "ci"}});
  EXPECT_EQ(page.text(),
            "# HELP t_seconds Times.\n"
            "# TYPE t_seconds histogram\n"
            "t_seconds_bucket{class=\"ci\",le=\"0.005\"} 2\n"
            "t_seconds_bucket{class=\"ci\",le=\"1\"} 5\n"
            "t_seconds_bucket{class=\"ci\",le=\"+Inf\"} 7\n"
            "t_seconds_sum{class=\"ci\"} 12.5\n"
            "t_seconds_count{class=\"ci\"} 7\n");
}

TEST(MetricPageTest, NoValueCanForgeASample) {
  MetricPage page;
  page.Gauge("a", "One\nline.", 1, {{"name", "x\"} 2\nb \\"}});
  EXPECT_EQ(page.text(),
            "# HELP a One\\nline.\n"
            "# TYPE a gauge\n"
            "a{name=\"x\\\"} 2\\nb \\\\\"} 1\n");
}

}  // namespace
}  // namespace sallyport
