// What Prometheus scrapes of a host: agent and proxy. Names and labels: docs/metrics.md.

#ifndef SALLYPORT_AGENT_METRICS_H_
#define SALLYPORT_AGENT_METRICS_H_

#include <string>

#include "absl/status/statusor.h"
#include "agent/audit_stream/audit_publisher.h"
#include "agent/containers.h"
#include "agent/policy_cache.h"
#include "agent/proxy_supervisor.h"
#include "agent/sync_client.h"
#include "proto/sallyport/v1/agent.pb.h"

namespace sallyport::agent {

struct MetricSources {
  std::string host_name;
  const Containers* containers;
  ProxySupervisor* supervisor;
  const SyncClient* sync;
  const PolicyCache* cache;
  const AuditPublisher* audit;
};

// The text for /metrics. While no proxy runs there are none of its samples.
std::string HostMetrics(const MetricSources& sources);

// Why this host cannot serve containers as it should, in a sentence; empty: it can.
std::string WhyNotReady(const MetricSources& sources);

namespace internal {

// The proxy's part.
std::string ProxyMetrics(const v1::UsageResponse& usage);

}  // namespace internal

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_METRICS_H_
