#include "bench/fleet/latencies.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"

namespace sallyport::bench {

std::string ToText(Clock::time_point moment) {
  return std::to_string(moment.time_since_epoch().count());
}

std::optional<Clock::time_point> FromText(const std::string& text) {
  int64_t ticks = 0;
  if (!absl::SimpleAtoi(text, &ticks)) return std::nullopt;
  return Clock::time_point(Clock::duration(ticks));
}

void Latencies::Add(Clock::duration duration, size_t weight) {
  MutexLock lock(&mutex_);
  durations_.insert(durations_.end(), weight, duration);
  added_.SignalAll();
}

bool Latencies::Await(size_t count, Clock::time_point deadline) {
  MutexLock lock(&mutex_);
  while (durations_.size() < count) {
    if (!added_.WaitUntil(&mutex_, deadline)) return durations_.size() >= count;
  }
  return true;
}

std::string Latencies::Take() {
  std::vector<Clock::duration> sorted;
  {
    MutexLock lock(&mutex_);
    sorted.swap(durations_);
  }
  std::sort(sorted.begin(), sorted.end());
  const auto at = [&](double share) {
    if (sorted.empty()) return 0.0;
    const size_t index = std::min(sorted.size() - 1,
                                  static_cast<size_t>(share * static_cast<double>(sorted.size())));
    return std::chrono::duration<double, std::milli>(sorted[index]).count();
  };
  return absl::StrFormat(R"({"count": %d, "p50": %.3f, "p99": %.3f, "max": %.3f})", sorted.size(),
                         at(0.5), at(0.99), at(1));
}

}  // namespace sallyport::bench
