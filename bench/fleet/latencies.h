// Durations that were measured, and what to say of them.

#ifndef SALLYPORT_BENCH_FLEET_LATENCIES_H_
#define SALLYPORT_BENCH_FLEET_LATENCIES_H_

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "common/base/mutex.h"

namespace sallyport::bench {

using Clock = std::chrono::steady_clock;

// A moment as text, to travel in a policy from where it is changed to where it is received, in one
// process.
std::string ToText(Clock::time_point moment);
std::optional<Clock::time_point> FromText(const std::string& text);

// Thread-safe.
class Latencies {
 public:
  // `weight`: counts as so many.
  void Add(Clock::duration duration, size_t weight = 1);
  // Waits until there are so many, or `deadline`; false: there are not.
  bool Await(size_t count, Clock::time_point deadline);
  // {"count": 3, "p50": 1.2, "p99": 3.4, "max": 3.4}, in milliseconds; and begins anew.
  std::string Take();

 private:
  Mutex mutex_;
  CondVar added_;
  std::vector<Clock::duration> durations_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sallyport::bench

#endif  // SALLYPORT_BENCH_FLEET_LATENCIES_H_
