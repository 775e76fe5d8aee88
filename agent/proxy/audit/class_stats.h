// How often what was decided for the containers of each class, for the operator.

#ifndef SALLYPORT_AGENT_PROXY_AUDIT_CLASS_STATS_H_
#define SALLYPORT_AGENT_PROXY_AUDIT_CLASS_STATS_H_

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "agent/proxy/audit/record.h"
#include "common/base/mutex.h"
#include "proto/sallyport/v1/agent.pb.h"

namespace sallyport::proxy {

// One worker counts and others only read, so that the lock is hardly ever waited for. Thread-safe.
class ClassStats {
 public:
  void Count(const AuditRecord& record);

  // Of a class, or of several workers' together.
  struct Totals {
    // In microseconds; what took longer is in none.
    static constexpr std::array<uint64_t, 13> kBounds = {
        500,     1'000,   2'500,   5'000,     10'000,    25'000,    50'000,
        100'000, 250'000, 500'000, 1'000'000, 2'500'000, 10'000'000};

    // By decision and reason, which are constants of the program's.
    std::map<std::pair<std::string_view, std::string_view>, uint64_t> decisions;
    uint64_t bytes_sent = 0;
    uint64_t bytes_received = 0;
    std::array<uint64_t, kBounds.size()> durations{};
    uint64_t requests = 0;
    uint64_t durations_sum_us = 0;

    void Add(const Totals& other);
  };
  using ByClass = std::map<std::string, Totals>;

  void AddTo(ByClass* totals) const;

 private:
  mutable Mutex mutex_;
  absl::flat_hash_map<std::string, Totals> classes_ ABSL_GUARDED_BY(mutex_);
};

void FillIn(const ClassStats::ByClass& totals, v1::UsageResponse* usage);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_AUDIT_CLASS_STATS_H_
