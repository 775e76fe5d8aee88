#include "agent/proxy/overload.h"

#include <algorithm>

namespace sallyport::proxy {
namespace {

constexpr uint64_t kKeepAlivePercent = 92;
constexpr uint64_t kRequestsPercent = 95;
constexpr uint64_t kConnectionsPercent = 98;

// Of the descriptors; but some commands come with five, and each worker keeps copies.
constexpr int64_t kReservedShare = 16;
constexpr int64_t kLeastReserved = 64;
constexpr int64_t kMostReserved = 4'096;
// The others are for connections to origins, which those of containers share, and for listeners.
constexpr int64_t kConnectionsFifths = 3;

Shedding SheddingAt(uint64_t percent) {
  if (percent >= kConnectionsPercent) return Shedding::kConnections;
  if (percent >= kRequestsPercent) return Shedding::kRequests;
  if (percent >= kKeepAlivePercent) return Shedding::kKeepAlive;
  return Shedding::kNothing;
}

}  // namespace

std::string_view SheddingName(Shedding shedding) {
  switch (shedding) {
    case Shedding::kNothing:
      return "";
    case Shedding::kKeepAlive:
      return "keep_alive";
    case Shedding::kRequests:
      return "requests";
    case Shedding::kConnections:
      return "connections";
  }
  return "";
}

void Overload::SetDescriptorLimit(int64_t limit) {
  const int64_t reserved = std::clamp(limit / kReservedShare, kLeastReserved, kMostReserved);
  const int64_t usable = std::max<int64_t>(0, limit - reserved);
  first_reserved_.store(usable, std::memory_order_relaxed);
  max_connections_.store(usable * kConnectionsFifths / 5, std::memory_order_relaxed);
}

void Overload::SetMemory(uint64_t used, uint64_t limit) {
  memory_used_.store(used, std::memory_order_relaxed);
  memory_limit_.store(limit, std::memory_order_relaxed);
  const uint64_t percent = limit == 0 ? 0 : used / std::max<uint64_t>(1, limit / 100);
  shedding_.store(SheddingAt(percent), std::memory_order_relaxed);
}

}  // namespace sallyport::proxy
