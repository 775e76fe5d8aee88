// How full the whole proxy is, and what it gives up because of that.

#ifndef SALLYPORT_AGENT_PROXY_OVERLOAD_H_
#define SALLYPORT_AGENT_PROXY_OVERLOAD_H_

#include <atomic>
#include <cstdint>
#include <string_view>

#include "agent/proxy/gauge.h"

namespace sallyport::proxy {

// Each gives up what those before it do, too.
enum class Shedding : uint8_t {
  kNothing,
  kKeepAlive,    // From 92 % of the memory: each connection ends with its request.
  kRequests,     // From 95 %: 503.
  kConnections,  // From 98 %: none is accepted.
};
// "", "keep_alive", "requests", "connections".
std::string_view SheddingName(Shedding shedding);

// Shared by every worker. Thread-safe, without locks: workers read what a thread of its own sets
// now and then (OverloadMonitor).
class Overload {
 public:
  // Until told otherwise nothing is short.
  Overload() = default;

  Shedding shedding() const { return shedding_.load(std::memory_order_relaxed); }

  // For a connection of a container. An empty token: the descriptors that are left are for
  // connections to origins and for the agent.
  Gauge::Token HoldConnection() {
    return connections_.Hold(1, max_connections_.load(std::memory_order_relaxed));
  }
  // Descriptors with the highest numbers are left to the agent's commands, which come with some.
  bool IsReserved(int descriptor) const {
    return descriptor >= first_reserved_.load(std::memory_order_relaxed);
  }

  void CountRefusedRequest() { refused_requests_.fetch_add(1, std::memory_order_relaxed); }
  void CountPause() { accept_pauses_.fetch_add(1, std::memory_order_relaxed); }

  // `limit`: RLIMIT_NOFILE.
  void SetDescriptorLimit(int64_t limit);
  // In bytes; `limit` 0: there is none.
  void SetMemory(uint64_t used, uint64_t limit);

  int64_t connections() const { return connections_.held(); }
  int64_t max_connections() const { return max_connections_.load(std::memory_order_relaxed); }
  uint64_t memory_used() const { return memory_used_.load(std::memory_order_relaxed); }
  uint64_t memory_limit() const { return memory_limit_.load(std::memory_order_relaxed); }
  uint64_t refused_requests() const { return refused_requests_.load(std::memory_order_relaxed); }
  uint64_t accept_pauses() const { return accept_pauses_.load(std::memory_order_relaxed); }

 private:
  std::atomic<Shedding> shedding_{Shedding::kNothing};
  Gauge connections_;
  std::atomic<int64_t> max_connections_{INT64_MAX};
  std::atomic<int64_t> first_reserved_{INT64_MAX};
  std::atomic<uint64_t> memory_used_{0};
  std::atomic<uint64_t> memory_limit_{0};
  std::atomic<uint64_t> refused_requests_{0};
  std::atomic<uint64_t> accept_pauses_{0};
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_OVERLOAD_H_
