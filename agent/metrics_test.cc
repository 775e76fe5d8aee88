#include "agent/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sallyport::agent {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

v1::UsageResponse Usage() {
  v1::UsageResponse usage;
  usage.mutable_proxy()->set_connections(3);
  usage.mutable_proxy()->set_shedding("requests");
  v1::UsageResponse::Class* const ci = usage.add_classes();
  ci->set_class_name("ci");
  v1::UsageResponse::Class::Decision* const denied = ci->add_decisions();
  denied->set_decision("deny");
  denied->set_reason("not_allowed");
  denied->set_count(4);
  ci->set_bytes_sent(10);
  ci->set_requests(4);
  ci->set_durations_sum_us(2'000'000);
  v1::UsageResponse::Class::Bucket* const bucket = ci->add_durations();
  bucket->set_at_most_us(1000);
  bucket->set_count(3);
  v1::UsageResponse::Endpoint* const endpoint = usage.add_endpoints();
  endpoint->set_handler("github");
  endpoint->set_endpoint("grpc://127.0.0.1:7070");
  endpoint->set_calls(9);
  endpoint->set_latency_p99_us(1500);
  endpoint->set_health("NOT_SERVING");
  v1::UsageResponse::Exceeded* const exceeded = usage.add_exceeded();
  exceeded->set_limit("requests");
  exceeded->set_count(2);
  return usage;
}

TEST(MetricsTest, SaysWhatTheProxySays) {
  const std::string text = internal::ProxyMetrics(Usage());
  const std::string of = "{handler=\"github\",endpoint=\"grpc://127.0.0.1:7070\"";
  for (const std::string& line : {
           std::string("sallyport_connections 3\n"),
           std::string("sallyport_shedding{what=\"keep_alive\"} 0\n"),
           std::string("sallyport_shedding{what=\"requests\"} 1\n"),
           std::string("sallyport_decisions_total{class=\"ci\",decision=\"deny\","
                       "reason=\"not_allowed\"} 4\n"),
           std::string("sallyport_sent_bytes_total{class=\"ci\"} 10\n"),
           std::string("sallyport_request_duration_seconds_bucket{class=\"ci\",le=\"0.001\"} 3\n"),
           std::string("sallyport_request_duration_seconds_bucket{class=\"ci\",le=\"+Inf\"} 4\n"),
           std::string("sallyport_request_duration_seconds_sum{class=\"ci\"} 2\n"),
           "sallyport_handler_calls_total" + of + "} 9\n",
           "sallyport_handler_healthy" + of + "} 0\n",
           "sallyport_handler_latency_seconds" + of + ",quantile=\"0.99\"} 0.0015\n",
           std::string("sallyport_limit_exceeded_total{limit=\"requests\"} 2\n"),
       }) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(MetricsTest, EachNameIsDescribedOnce) {
  v1::UsageResponse usage = Usage();
  *usage.add_classes() = usage.classes(0);
  usage.mutable_classes(1)->set_class_name("agents");
  const std::string text = internal::ProxyMetrics(usage);
  for (size_t at = 0; (at = text.find("# TYPE ", at)) != std::string::npos; ++at) {
    const std::string line = text.substr(at, text.find('\n', at) - at);
    EXPECT_EQ(text.find(line, at + 1), std::string::npos) << line;
  }
  EXPECT_THAT(text, Not(HasSubstr("nan")));
}

}  // namespace
}  // namespace sallyport::agent
