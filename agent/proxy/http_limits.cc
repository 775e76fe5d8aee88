#include "agent/proxy/http_limits.h"

namespace sallyport::proxy {

H1Limits H1LimitsOf(const ContainerLimits& limits) {
  H1Limits h1;
  h1.head_bytes = static_cast<uint32_t>(limits[Limit::kHeaderBytes]);
  h1.header_count = static_cast<uint32_t>(limits[Limit::kHeaderCount]);
  return h1;
}

H1Timeouts H1TimeoutsOf(const ContainerLimits& limits) {
  return H1Timeouts{.idle = limits.Time(Limit::kIdleTimeoutMs),
                    .head = limits.Time(Limit::kHeadTimeoutMs),
                    .body = limits.Time(Limit::kBodyTimeoutMs)};
}

H2Limits H2LimitsOf(const ContainerLimits& limits) {
  H2Limits h2;
  h2.streams = static_cast<uint32_t>(limits[Limit::kH2Streams]);
  h2.head_bytes = static_cast<size_t>(limits[Limit::kHeaderBytes]);
  h2.field_count = static_cast<size_t>(limits[Limit::kHeaderCount]);
  h2.resets = static_cast<uint32_t>(limits[Limit::kH2Resets]);
  return h2;
}

H2Timeouts H2TimeoutsOf(const ContainerLimits& limits) {
  H2Timeouts h2;
  h2.idle = limits.Time(Limit::kIdleTimeoutMs);
  h2.head = limits.Time(Limit::kHeadTimeoutMs);
  h2.body = limits.Time(Limit::kBodyTimeoutMs);
  h2.write = limits.Time(Limit::kBodyTimeoutMs);
  return h2;
}

}  // namespace sallyport::proxy
