#include "agent/proxy/handlers/endpoint_stats.h"

#include <algorithm>
#include <bit>
#include <iterator>

namespace sallyport::proxy {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

void EndpointStats::Answered(std::chrono::microseconds after) {
  failures_in_a_row_.store(0, kRelaxed);
  const auto time = static_cast<uint64_t>(std::max<int64_t>(after.count(), 0));
  latencies_[BucketOf(time)].fetch_add(1, kRelaxed);
}

void EndpointStats::Failed() {
  failures_.fetch_add(1, kRelaxed);
  failures_in_a_row_.fetch_add(1, kRelaxed);
}

// Below 8 each number has its own; from there on the leading bit and the three behind it tell.
size_t EndpointStats::BucketOf(uint64_t microseconds) {
  if (microseconds < 8) return static_cast<size_t>(microseconds);
  const int shift = std::bit_width(microseconds) - 4;
  const size_t bucket = static_cast<size_t>(shift + 1) * 8 + ((microseconds >> shift) & 7);
  return std::min(bucket, kBuckets - 1);
}

uint64_t EndpointStats::EndOf(size_t bucket) {
  if (bucket < 8) return bucket;
  const size_t shift = bucket / 8 - 1;
  return ((bucket % 8 + 9) << shift) - 1;
}

uint64_t EndpointStats::Percentile(int percent) const {
  std::array<uint64_t, kBuckets> counts;
  uint64_t all = 0;
  for (size_t i = 0; i < kBuckets; ++i) all += counts[i] = latencies_[i].load(kRelaxed);
  // The smallest time that so many are not above.
  uint64_t wanted = (all * static_cast<uint64_t>(percent) + 99) / 100;
  for (size_t i = 0; i < kBuckets && wanted > 0; ++i) {
    if (counts[i] >= wanted) return EndOf(i);
    wanted -= counts[i];
  }
  return 0;
}

void EndpointStats::FillIn(v1::UsageResponse::Endpoint* usage) const {
  usage->set_in_flight(in_flight());
  usage->set_calls(calls());
  usage->set_failures(failures_.load(kRelaxed));
  usage->set_failures_in_a_row(failures_in_a_row_.load(kRelaxed));
  usage->set_ejections(ejections_.load(kRelaxed));
  usage->set_latency_p50_us(Percentile(50));
  usage->set_latency_p99_us(Percentile(99));
  usage->set_health(checked_.text());
}

std::shared_ptr<EndpointStats> HandlerStats::Of(const std::string& handler,
                                                const std::string& endpoint) {
  MutexLock lock(&mutex_);
  std::shared_ptr<EndpointStats>& stats = stats_[{handler, endpoint}];
  if (stats == nullptr) stats = std::make_shared<EndpointStats>();
  return stats;
}

void HandlerStats::Keep(
    absl::FunctionRef<bool(const std::string& handler, const std::string& endpoint)> kept) {
  MutexLock lock(&mutex_);
  std::erase_if(stats_, [&](const auto& one) { return !kept(one.first.first, one.first.second); });
}

void HandlerStats::FillIn(v1::UsageResponse* usage) const {
  MutexLock lock(&mutex_);
  for (const auto& [key, stats] : stats_) {
    if (stats->calls() == 0 && stats->checked().text().empty()) continue;
    v1::UsageResponse::Endpoint* const endpoint = usage->add_endpoints();
    endpoint->set_handler(key.first);
    endpoint->set_endpoint(key.second);
    stats->FillIn(endpoint);
  }
}

}  // namespace sallyport::proxy
