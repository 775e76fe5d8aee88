// How many calls came, how they ended and how long they took.

#ifndef SALLYPORT_CONTROLPLANE_CALL_STATS_H_
#define SALLYPORT_CONTROLPLANE_CALL_STATS_H_

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "common/base/mutex.h"
#include "common/metrics/metric_page.h"

namespace sallyport {

// Of methods that are served: their names are no caller's choice. Thread-safe.
class CallStats {
 public:
  // `method` as in a gRPC path, "/package.Service/Method"; `code`: gRPC's.
  void Count(std::string_view method, int code, std::chrono::microseconds took);
  void AddTo(MetricPage* page) const;

 private:
  static constexpr std::array<double, 9> kBounds = {0.001, 0.0025, 0.005, 0.01, 0.025,
                                                    0.05,  0.1,    0.5,   5};
  struct Durations {
    std::array<uint64_t, kBounds.size()> buckets{};
    uint64_t count = 0;
    double sum_s = 0;
  };

  mutable Mutex mutex_;
  std::map<std::pair<std::string, int>, uint64_t> calls_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Durations> durations_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_CALL_STATS_H_
