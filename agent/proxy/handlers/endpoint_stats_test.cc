#include "agent/proxy/handlers/endpoint_stats.h"

#include "gtest/gtest.h"

namespace sallyport::proxy {
namespace {

using std::chrono::microseconds;

v1::UsageResponse::Endpoint UsageOf(const EndpointStats& stats) {
  v1::UsageResponse::Endpoint usage;
  stats.FillIn(&usage);
  return usage;
}

TEST(EndpointStatsTest, Counts) {
  EndpointStats stats;
  for (int i = 0; i < 3; ++i) stats.Begin();
  stats.Failed();
  stats.Failed();
  stats.Ejected();
  stats.End();
  v1::UsageResponse::Endpoint usage = UsageOf(stats);
  EXPECT_EQ(usage.calls(), 3u);
  EXPECT_EQ(usage.in_flight(), 2);
  EXPECT_EQ(usage.failures(), 2u);
  EXPECT_EQ(usage.failures_in_a_row(), 2u);
  EXPECT_EQ(usage.ejections(), 1u);
  EXPECT_EQ(usage.latency_p50_us(), 0u);
  stats.Answered(microseconds(5));
  usage = UsageOf(stats);
  EXPECT_EQ(usage.failures(), 2u);
  EXPECT_EQ(usage.failures_in_a_row(), 0u);
}

TEST(EndpointStatsTest, PercentilesAreAccurateToAnEighth) {
  for (const int64_t time : {0, 1, 7, 8, 15, 16, 99, 1'000, 12'345, 1'000'000, 600'000'000}) {
    EndpointStats stats;
    stats.Answered(microseconds(time));
    const auto p50 = static_cast<int64_t>(UsageOf(stats).latency_p50_us());
    EXPECT_GE(p50, time);
    EXPECT_LE(p50, time + time / 8);
    EXPECT_EQ(UsageOf(stats).latency_p99_us(), static_cast<uint64_t>(p50));
  }
}

TEST(EndpointStatsTest, PercentilesOfMany) {
  EndpointStats stats;
  for (int i = 0; i < 98; ++i) stats.Answered(microseconds(3));
  stats.Answered(microseconds(7));
  stats.Answered(microseconds(int64_t{1} << 40));
  EXPECT_EQ(UsageOf(stats).latency_p50_us(), 3u);
  EXPECT_EQ(UsageOf(stats).latency_p99_us(), 7u);
  stats.Answered(microseconds(int64_t{1} << 40));
  stats.Answered(microseconds(-1));
  EXPECT_GE(UsageOf(stats).latency_p99_us(), uint64_t{1} << 30);
}

TEST(HandlerStatsTest, ShowsWhatWasCalledAndForgetsWhatIsGone) {
  HandlerStats stats;
  stats.Of("b", "x")->Begin();
  stats.Of("a", "y")->Begin();
  stats.Of("a", "x")->Begin();
  stats.Of("a", "x")->Begin();
  stats.Of("a", "z");
  v1::UsageResponse usage;
  stats.FillIn(&usage);
  ASSERT_EQ(usage.endpoints_size(), 3);
  EXPECT_EQ(usage.endpoints(0).handler(), "a");
  EXPECT_EQ(usage.endpoints(0).endpoint(), "x");
  EXPECT_EQ(usage.endpoints(0).calls(), 2u);
  stats.Keep([](const std::string& handler, const std::string& endpoint) {
    return handler == "a" && endpoint == "y";
  });
  usage.Clear();
  stats.FillIn(&usage);
  ASSERT_EQ(usage.endpoints_size(), 1);
  EXPECT_EQ(usage.endpoints(0).endpoint(), "y");
}

}  // namespace
}  // namespace sallyport::proxy
