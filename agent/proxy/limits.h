// What one container may use, by default or as the operator set it.

#ifndef SALLYPORT_AGENT_PROXY_LIMITS_H_
#define SALLYPORT_AGENT_PROXY_LIMITS_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sallyport::proxy {

// Each holds for one container over all workers. docs/operations.md says what happens at each.
enum class Limit : uint8_t {
  kConnections,
  kConnectionsPerSecond,
  kHandshakes,
  kHandshakesPerSecond,
  kLeavesPerSecond,
  kRequests,
  kWebSockets,
  kHandlerCalls,
  kHandlerCallsPerSecond,
  kOriginConnections,
  kDials,
  kMemoryBytes,
  kHeaderBytes,
  kHeaderCount,
  kHandshakeTimeoutMs,
  kHeadTimeoutMs,
  kBodyTimeoutMs,
  kIdleTimeoutMs,
  kRelayIdleTimeoutMs,
  kH2Streams,
  kH2Resets,
  kDnsQueriesPerSecond,
  kDnsQueriesBurstSeconds,
  kDnsUpstreamPerSecond,
  kDnsUpstreamBurstSeconds,
  kDnsUpstreamQueries,
  kDnsNameBytesPerMinute,
  kDnsNameBytesAtOnce,
  kDnsCachedAnswers,
  kDnsCachedBytes,
  kRefusalRecordsPerSecond,
};
inline constexpr size_t kLimitCount = static_cast<size_t>(Limit::kRefusalRecordsPerSecond) + 1;

struct LimitInfo {
  Limit limit;
  // As in `sallyport-agent --limit NAME=VALUE`.
  std::string_view name;
  int64_t default_value;
  int64_t min;
  int64_t max;
};

// By number of Limit.
std::span<const LimitInfo, kLimitCount> AllLimits();
const LimitInfo& InfoOf(Limit limit);

class ContainerLimits {
 public:
  // The defaults.
  ContainerLimits();

  int64_t operator[](Limit limit) const { return values_[static_cast<size_t>(limit)]; }
  // REQUIRES: `limit` is a time.
  std::chrono::milliseconds Time(Limit limit) const {
    return std::chrono::milliseconds((*this)[limit]);
  }
  // INVALID_ARGUMENT, with a sentence that lists the names or says the range.
  absl::Status Set(std::string_view name, int64_t value);

 private:
  std::array<int64_t, kLimitCount> values_;
};

// Reads NAME=VALUE, VALUE in decimal. INVALID_ARGUMENT as of ContainerLimits::Set.
absl::StatusOr<std::pair<std::string, int64_t>> ParseLimit(std::string_view text);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_LIMITS_H_
