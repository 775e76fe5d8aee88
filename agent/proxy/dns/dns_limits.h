// What one container may cost the operator's resolvers, and this host.

#ifndef SALLYPORT_AGENT_PROXY_DNS_DNS_LIMITS_H_
#define SALLYPORT_AGENT_PROXY_DNS_DNS_LIMITS_H_

#include <cstddef>

namespace sallyport::proxy {

// Of one container. Rates are those of token buckets: so much at once, and so much a second after.
struct DnsLimits {
  // Queries that it sends, whoever answers them.
  double queries_per_second = 5000;
  double queries_at_once = 10000;
  // Questions to the operator's resolvers, also those of its egress.
  double upstream_per_second = 200;
  double upstream_at_once = 1000;
  // On one worker.
  size_t max_upstream_under_way = 128;
  // Bytes of new names below one registered name, without that name: what data smuggled out in
  // names is made of. A page with five hundred hosts of one company stays below. All registered
  // names together may have a few times as much (query_budget.cc).
  double name_bytes_per_second = 8192.0 / 60;
  double name_bytes_at_once = 8192;
  // Answers that are kept, and their bytes.
  size_t max_cached_answers = 2048;
  size_t max_cached_bytes = 2 << 20;
};

// Those at which a query is refused.
enum class DnsLimit { kQueries, kUpstream, kUpstreamUnderWay, kNameBytes };

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_DNS_DNS_LIMITS_H_
