// What the workers share of one container's DNS.

#ifndef SALLYPORT_AGENT_PROXY_DNS_CONTAINER_DNS_H_
#define SALLYPORT_AGENT_PROXY_DNS_CONTAINER_DNS_H_

#include <chrono>
#include <functional>
#include <utility>

#include "agent/proxy/dns/cache.h"
#include "agent/proxy/dns/dns_limits.h"
#include "agent/proxy/dns/failures.h"
#include "agent/proxy/dns/names.h"
#include "agent/proxy/dns/query_budget.h"

namespace sallyport::proxy {

// Its parts are thread-safe: DNS over UDP is served by one worker, connections are by all.
struct ContainerDns {
  // `on_exceeded` is called for each query that is refused because of a limit, on any thread.
  explicit ContainerDns(
      const DnsLimits& given, std::function<void(DnsLimit)> on_exceeded = [](DnsLimit) {})
      : limits(given),
        on_exceeded(std::move(on_exceeded)),
        cache(given.max_cached_answers, given.max_cached_bytes),
        budget(given, std::chrono::steady_clock::now()) {}

  const DnsLimits limits;
  const std::function<void(DnsLimit)> on_exceeded;
  DnsNames names;
  DnsCache cache;
  DnsFailures failures;
  QueryBudget budget;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_DNS_CONTAINER_DNS_H_
