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
  sources.calls->AddTo(&page);
  return page.text();
}

}  // namespace sallyport
