#include "agent/proxy/limits.h"

#include "absl/strings/numbers.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

constexpr int64_t kMillion = 1'000'000;
constexpr int64_t kHour = 3'600'000;
constexpr int64_t kMebibyte = 1 << 20;

constexpr std::array<LimitInfo, kLimitCount> kLimits = {{
    {Limit::kConnections, "connections", 4'096, 1, kMillion},
    {Limit::kConnectionsPerSecond, "connections_per_second", 1'000, 1, kMillion},
    {Limit::kHandshakes, "handshakes", 512, 1, kMillion},
    {Limit::kHandshakesPerSecond, "handshakes_per_second", 500, 1, kMillion},
    {Limit::kLeavesPerSecond, "leaves_per_second", 250, 1, kMillion},
    {Limit::kRequests, "requests", 2'048, 1, kMillion},
    {Limit::kWebSockets, "websockets", 1'024, 1, kMillion},
    {Limit::kHandlerCalls, "handler_calls", 256, 1, kMillion},
    {Limit::kHandlerCallsPerSecond, "handler_calls_per_second", 5'000, 1, kMillion},
    {Limit::kOriginConnections, "origin_connections", 4'096, 1, kMillion},
    {Limit::kDials, "dials", 256, 1, kMillion},
    {Limit::kMemoryBytes, "memory_bytes", 256 * kMebibyte, kMebibyte, kMebibyte* kMebibyte},
    {Limit::kHeaderBytes, "header_bytes", 60 * 1024, 1024, kMebibyte},
    {Limit::kHeaderCount, "header_count", 100, 10, 10'000},
    {Limit::kHandshakeTimeoutMs, "handshake_timeout_ms", 10'000, 100, kHour},
    {Limit::kHeadTimeoutMs, "head_timeout_ms", 10'000, 100, kHour},
    {Limit::kBodyTimeoutMs, "body_timeout_ms", 60'000, 100, kHour},
    {Limit::kIdleTimeoutMs, "idle_timeout_ms", 60'000, 100, kHour},
    {Limit::kRelayIdleTimeoutMs, "relay_idle_timeout_ms", kHour / 4, 100, 24 * kHour},
    {Limit::kH2Streams, "h2_streams", 100, 1, 100'000},
    {Limit::kH2Resets, "h2_resets", 100, 1, kMillion},
    {Limit::kDnsQueriesPerSecond, "dns_queries_per_second", 5'000, 1, kMillion},
    {Limit::kDnsQueriesBurstSeconds, "dns_queries_burst_seconds", 2, 1, 3'600},
    {Limit::kDnsUpstreamPerSecond, "dns_upstream_per_second", 200, 1, kMillion},
    {Limit::kDnsUpstreamBurstSeconds, "dns_upstream_burst_seconds", 5, 1, 3'600},
    {Limit::kDnsUpstreamQueries, "dns_upstream_queries", 128, 1, kMillion},
    {Limit::kDnsNameBytesPerMinute, "dns_name_bytes_per_minute", 8'192, 1, kMebibyte* kMebibyte},
    {Limit::kDnsNameBytesAtOnce, "dns_name_bytes_at_once", 8'192, 253, kMebibyte* kMebibyte},
    {Limit::kDnsCachedAnswers, "dns_cached_answers", 2'048, 1, kMillion},
    {Limit::kDnsCachedBytes, "dns_cached_bytes", 2 * kMebibyte, 4'096, kMebibyte* kMebibyte},
    {Limit::kRefusalRecordsPerSecond, "refusal_records_per_second", 20, 1, kMillion},
}};

constexpr bool InOrder() {
  for (size_t i = 0; i < kLimitCount; ++i) {
    if (static_cast<size_t>(kLimits[i].limit) != i) return false;
  }
  return true;
}
static_assert(InOrder());

std::string Names() {
  std::string names;
  for (const LimitInfo& info : kLimits) names += StrCat(names.empty() ? "" : ", ", info.name);
  return names;
}

absl::StatusOr<const LimitInfo*> Find(std::string_view name) {
  for (const LimitInfo& info : kLimits) {
    if (info.name == name) return &info;
  }
  return absl::InvalidArgumentError(
      StrCat("there is no limit ", Quote(name), "; write one of: ", Names()));
}

}  // namespace

std::span<const LimitInfo, kLimitCount> AllLimits() { return kLimits; }

const LimitInfo& InfoOf(Limit limit) { return kLimits[static_cast<size_t>(limit)]; }

ContainerLimits::ContainerLimits() {
  for (size_t i = 0; i < kLimitCount; ++i) values_[i] = kLimits[i].default_value;
}

absl::Status ContainerLimits::Set(std::string_view name, int64_t value) {
  ASSIGN_OR_RETURN(const LimitInfo* info, Find(name));
  if (value < info->min || value > info->max) {
    return absl::InvalidArgumentError(StrCat("the limit ", name, " must be between ", info->min,
                                             " and ", info->max, ", not ", value));
  }
  values_[static_cast<size_t>(info->limit)] = value;
  return absl::OkStatus();
}

absl::StatusOr<std::pair<std::string, int64_t>> ParseLimit(std::string_view text) {
  const size_t equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  RETURN_IF_ERROR(Find(name).status());
  const std::string_view digits = equals == text.npos ? "" : text.substr(equals + 1);
  int64_t value = 0;
  if (digits.find_first_not_of("0123456789") != digits.npos ||
      !absl::SimpleAtoi(ToAbsl(digits), &value)) {
    return absl::InvalidArgumentError(StrCat("write NAME=VALUE with a whole number, as ", name, "=",
                                             InfoOf(Limit::kConnections).default_value));
  }
  RETURN_IF_ERROR(ContainerLimits().Set(name, value));
  return std::pair(std::string(name), value);
}

}  // namespace sallyport::proxy
