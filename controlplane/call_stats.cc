#include "controlplane/call_stats.h"

#include <algorithm>
#include <iterator>
#include <vector>

namespace sallyport {
namespace {

// As grpc::StatusCode numbers them.
constexpr std::array<std::string_view, 17> kCodes = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};

std::string CodeName(int code) {
  const bool known = code >= 0 && static_cast<size_t>(code) < kCodes.size();
  return std::string(known ? kCodes[static_cast<size_t>(code)] : "UNKNOWN");
}

// "OutboundPolicy.SetAllowedHosts".
std::string ShortName(std::string_view method) {
  std::string name(method.substr(method.find_last_of('.') + 1));
  std::ranges::replace(name, '/', '.');
  return name;
}

}  // namespace

void CallStats::Count(std::string_view method, int code, std::chrono::microseconds took) {
  const std::string name = ShortName(method);
  const double seconds = std::chrono::duration<double>(took).count();
  MutexLock lock(&mutex_);
  ++calls_[{name, code}];
  Durations& durations = durations_[name];
  const auto bound = std::ranges::lower_bound(kBounds, seconds);
  if (bound != kBounds.end()) ++durations.buckets[std::distance(kBounds.begin(), bound)];
  ++durations.count;
  durations.sum_s += seconds;
}

void CallStats::AddTo(MetricPage* page) const {
  MutexLock lock(&mutex_);
  for (const auto& [call, count] : calls_)
    page->Counter("sallyportd_calls_total", "Calls that were answered, and streams that ended.",
                  static_cast<double>(count),
                  {{"method", call.first}, {"code", CodeName(call.second)}});
  for (const auto& [name, durations] : durations_) {
    std::vector<MetricPage::Bucket> buckets;
    for (size_t i = 0; i < kBounds.size(); ++i)
      buckets.push_back({kBounds[i], durations.buckets[i]});
    page->Histogram("sallyportd_call_duration_seconds",
                    "How long calls took, waiting for enforcement included.", buckets,
                    durations.count, durations.sum_s, {{"method", name}});
  }
}

}  // namespace sallyport
