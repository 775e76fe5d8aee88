#include "controlplane/metrics.h"

#include "common/metrics/metric_page.h"

namespace sallyport {

std::string ControlPlaneMetrics(const MetricSources& sources) {
  MetricPage page;
  const auto gauge = [&page](std::string_view name, std::string_view help, uint64_t value) {
    page.Gauge(name, help, static_cast<double>(value));
  };
  const std::shared_ptr<const State> state = sources.store->Read();
  gauge("sallyportd_revision", "Of the newest change.", state->revision);
  gauge("sallyportd_classes", "Classes that are stored.", state->classes.size());
  gauge("sallyportd_containers", "Containers that are stored.", state->containers.size());
  gauge("sallyportd_attached_containers", "Containers that a host has attached.",
        state->placements.size());
  gauge("sallyportd_handlers", "Handlers that are registered.", state->handlers.size());
  gauge("sallyportd_agents_connected", "Hosts whose agent's stream is up.", sources.hub->size());
  gauge("sallyportd_calls_waiting", "Calls that wait until hosts enforce a change.",
        sources.waiters->waiting());
  gauge("sallyportd_writes_queued", "Changes that wait for the store.", sources.writer->queued());
  const auto counter = [&page](std::string_view name, std::string_view help, uint64_t value) {
    page.Counter(name, help, static_cast<double>(value));
  };
  const AuditStreams::Stats audit = sources.audit->stats();
  gauge("sallyportd_audit_followers", "Callers that follow audit records.", audit.followers);
  counter("sallyportd_audit_records_total", "Audit records that agents sent for followers.",
          audit.records);
  counter("sallyportd_audit_records_missed_total", "Those that a follower was too slow for.",
          audit.missed);
  counter("sallyportd_audit_records_refused_total",
          "Those of containers that are not attached to the host that sent them.", audit.refused);
  sources.calls->AddTo(&page);
  return page.text();
}

}  // namespace sallyport
