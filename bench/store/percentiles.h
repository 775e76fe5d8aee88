// Latencies as a line of text.

#ifndef SALLYPORT_BENCH_STORE_PERCENTILES_H_
#define SALLYPORT_BENCH_STORE_PERCENTILES_H_

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

namespace sallyport {

using Latencies = std::vector<std::chrono::nanoseconds>;

// Prints `name: p50 … p99 … max … ms`. REQUIRES: at least one.
inline void PrintPercentiles(const char* name, Latencies latencies) {
  std::sort(latencies.begin(), latencies.end());
  const auto ms = [&](double share) {
    const auto index = static_cast<size_t>(share * static_cast<double>(latencies.size() - 1));
    return static_cast<double>(latencies[index].count()) / 1e6;
  };
  std::printf("%-44s n %7zu  p50 %7.3f  p90 %7.3f  p99 %7.3f  max %7.3f ms\n", name,
              latencies.size(), ms(0.5), ms(0.9), ms(0.99), ms(1));
}

}  // namespace sallyport

#endif  // SALLYPORT_BENCH_STORE_PERCENTILES_H_
