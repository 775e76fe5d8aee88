// What Prometheus scrapes of the control plane. Names and labels: docs/metrics.md.

#ifndef SALLYPORT_CONTROLPLANE_METRICS_H_
#define SALLYPORT_CONTROLPLANE_METRICS_H_

#include <string>

#include "controlplane/audit_streams.h"
#include "controlplane/call_stats.h"
#include "controlplane/store/store.h"
#include "controlplane/sync_hub.h"
#include "controlplane/waiters.h"
#include "controlplane/write_queue.h"

namespace sallyport {

struct MetricSources {
  const Store* store;
  const SyncHub* hub;
  const Waiters* waiters;
  const WriteQueue* writer;
  const CallStats* calls;
  const AuditStreams* audit;
};

// The text for /metrics.
std::string ControlPlaneMetrics(const MetricSources& sources);

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_METRICS_H_
