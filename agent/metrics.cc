#include "agent/metrics.h"

#include <map>
#include <vector>

#include "common/base/strings.h"
#include "common/base/version.h"
#include "common/metrics/metric_page.h"

namespace sallyport::agent {
namespace {

constexpr double kMicro = 1e-6;

double ToDouble(uint64_t number) { return static_cast<double>(number); }

void AddProxy(const v1::UsageResponse::Proxy& proxy, MetricPage* page) {
  page->Gauge("sallyport_connections", "Open connections of all containers.",
              static_cast<double>(proxy.connections()));
  page->Gauge("sallyport_connections_limit", "How many the limit of descriptors allows.",
              static_cast<double>(proxy.max_connections()));
  page->Gauge("sallyport_proxy_memory_bytes",
              "Memory that counts towards the limit that the proxy is closest to.",
              ToDouble(proxy.memory_bytes()));
  page->Gauge("sallyport_proxy_memory_limit_bytes", "That limit; 0: there is none.",
              ToDouble(proxy.max_memory_bytes()));
  for (const std::string_view what : {"keep_alive", "requests", "connections"}) {
    page->Gauge("sallyport_shedding",
                "1 for what the proxy does not serve for want of memory at this moment.",
                proxy.shedding() == what ? 1 : 0, {{"what", std::string(what)}});
  }
  page->Counter("sallyport_shed_requests_total", "Requests answered 503 for want of memory.",
                ToDouble(proxy.refused_requests()));
  page->Counter("sallyport_accept_pauses_total",
                "How often accepting connections had to wait for memory or descriptors.",
                ToDouble(proxy.accept_pauses()));
  page->Counter("sallyport_audit_records_lost_total",
                "Audit records that the file of --audit did not take.",
                ToDouble(proxy.lost_audit_records()));
}

void AddClasses(const v1::UsageResponse& usage, MetricPage* page) {
  for (const v1::UsageResponse::Class& one : usage.classes()) {
    for (const v1::UsageResponse::Class::Decision& decision : one.decisions()) {
      page->Counter("sallyport_decisions_total",
                    "Requests, relayed connections and refusals, by what was decided and why.",
                    ToDouble(decision.count()),
                    {{"class", one.class_name()},
                     {"decision", decision.decision()},
                     {"reason", decision.reason()}});
    }
  }
  for (const v1::UsageResponse::Class& one : usage.classes()) {
    page->Counter("sallyport_sent_bytes_total",
                  "Bytes of bodies and relayed bytes that were sent to containers.",
                  ToDouble(one.bytes_sent()), {{"class", one.class_name()}});
  }
  for (const v1::UsageResponse::Class& one : usage.classes()) {
    page->Counter("sallyport_received_bytes_total",
                  "Bytes of bodies and relayed bytes that were received from containers.",
                  ToDouble(one.bytes_received()), {{"class", one.class_name()}});
  }
  for (const v1::UsageResponse::Class& one : usage.classes()) {
    std::vector<MetricPage::Bucket> buckets;
    for (const v1::UsageResponse::Class::Bucket& bucket : one.durations())
      buckets.push_back({ToDouble(bucket.at_most_us()) * kMicro, bucket.count()});
    page->Histogram("sallyport_request_duration_seconds",
                    "From an HTTP request's complete head to the end of its answer.", buckets,
                    one.requests(), ToDouble(one.durations_sum_us()) * kMicro,
                    {{"class", one.class_name()}});
  }
}

MetricPage::Labels OfEndpoint(const v1::UsageResponse::Endpoint& endpoint) {
  return {{"handler", endpoint.handler()}, {"endpoint", endpoint.endpoint()}};
}

void AddHandlers(const v1::UsageResponse& usage, MetricPage* page) {
  for (const v1::UsageResponse::Endpoint& endpoint : usage.endpoints())
    page->Gauge("sallyport_handler_calls_in_flight", "Calls of a handler under way.",
                static_cast<double>(endpoint.in_flight()), OfEndpoint(endpoint));
  for (const v1::UsageResponse::Endpoint& endpoint : usage.endpoints())
    page->Counter("sallyport_handler_calls_total", "Calls of a handler.",
                  ToDouble(endpoint.calls()), OfEndpoint(endpoint));
  for (const v1::UsageResponse::Endpoint& endpoint : usage.endpoints())
    page->Counter("sallyport_handler_failures_total",
                  "Calls that could not be connected, were late, or broke the contract.",
                  ToDouble(endpoint.failures()), OfEndpoint(endpoint));
  for (const v1::UsageResponse::Endpoint& endpoint : usage.endpoints())
    page->Counter("sallyport_handler_ejections_total",
                  "How often a container passed the endpoint over for a time.",
                  ToDouble(endpoint.ejections()), OfEndpoint(endpoint));
  for (const v1::UsageResponse::Endpoint& endpoint : usage.endpoints())
    page->Gauge("sallyport_handler_healthy",
                "0 if the endpoint's health check keeps it from being called.",
                endpoint.health().empty() || endpoint.health() == "serving" ||
                        endpoint.health() == "unknown"
                    ? 1
                    : 0,
                OfEndpoint(endpoint));
  for (const v1::UsageResponse::Endpoint& endpoint : usage.endpoints()) {
    const std::pair<const char*, uint64_t> quantiles[] = {{"0.5", endpoint.latency_p50_us()},
                                                          {"0.99", endpoint.latency_p99_us()}};
    for (const auto& [quantile, microseconds] : quantiles) {
      MetricPage::Labels labels = OfEndpoint(endpoint);
      labels.emplace_back("quantile", quantile);
      page->Gauge("sallyport_handler_latency_seconds",
                  "From a call's beginning until its answer began, since the proxy was started.",
                  ToDouble(microseconds) * kMicro, labels);
    }
  }
}

void AddExceeded(const v1::UsageResponse& usage, MetricPage* page) {
  for (const v1::UsageResponse::Exceeded& exceeded : usage.exceeded())
    page->Counter("sallyport_limit_exceeded_total",
                  "How often a container's limit refused something or made it wait.",
                  ToDouble(exceeded.count()), {{"limit", exceeded.limit()}});
}

void AddContainers(const std::vector<Containers::Listed>& containers, MetricPage* page) {
  struct Counted {
    int all = 0;
    int without_policy = 0;
  };
  std::map<std::string, Counted> by_class;
  for (const Containers::Listed& one : containers) {
    Counted& counted = by_class[one.class_name];
    ++counted.all;
    if (one.enforced_revision == 0) ++counted.without_policy;
  }
  for (const auto& [name, counted] : by_class)
    page->Gauge("sallyport_containers", "Attached containers.", counted.all, {{"class", name}});
  for (const auto& [name, counted] : by_class)
    page->Gauge("sallyport_containers_without_policy",
                "Attached containers whose policy is not here yet: they reach nothing.",
                counted.without_policy, {{"class", name}});
}

void AddAgent(const MetricSources& sources, MetricPage* page) {
  page->Gauge("sallyport_agent_info", "1; version and name of the host.", 1,
              {{"version", kVersion}, {"host", sources.host_name}});
  page->Gauge("sallyport_control_plane_connected",
              "Whether the agent's stream to the control plane is up.",
              sources.sync->state().connected ? 1 : 0);
  page->Gauge("sallyport_enforced_revision", "The policy that is enforced.",
              ToDouble(sources.cache->revision()));
  const ProxySupervisor::State proxy = sources.supervisor->state();
  page->Gauge("sallyport_proxy_up", "Whether a proxy runs.", proxy.pid == 0 ? 0 : 1);
  page->Counter("sallyport_proxy_restarts_total", "How often the proxy was started again.",
                ToDouble(proxy.restarts));
  const AuditPublisher::Stats audit = sources.audit->stats();
  page->Gauge("sallyport_audit_followed",
              "Whether audit records are sent to the control plane, since somebody follows them.",
              audit.following ? 1 : 0);
  page->Counter("sallyport_audit_stream_lost_total",
                "Audit records that were to be followed and were not sent; the file has them.",
                ToDouble(audit.lost));
  AddContainers(sources.containers->List(), page);
  const Containers::LaterLinks links = sources.containers->later_links();
  page->Counter("sallyport_later_links_removed_total",
                "Interfaces that attached containers were given later, and that were removed.",
                ToDouble(links.removed));
  page->Counter("sallyport_containers_ended_total",
                "Containers that were ended because such an interface could not be removed.",
                ToDouble(links.ended));
}

}  // namespace

namespace internal {

std::string ProxyMetrics(const v1::UsageResponse& usage) {
  MetricPage page;
  AddProxy(usage.proxy(), &page);
  AddClasses(usage, &page);
  AddHandlers(usage, &page);
  AddExceeded(usage, &page);
  return page.text();
}

}  // namespace internal

std::string HostMetrics(const MetricSources& sources) {
  MetricPage page;
  AddAgent(sources, &page);
  const absl::StatusOr<v1::UsageResponse> usage = sources.supervisor->Usage();
  return usage.ok() ? page.text() + internal::ProxyMetrics(*usage) : page.text();
}

std::string WhyNotReady(const MetricSources& sources) {
  const ProxySupervisor::State proxy = sources.supervisor->state();
  if (proxy.pid == 0)
    return StrCat("no proxy runs", proxy.last_end.empty() ? "" : ": ", proxy.last_end);
  const SyncClient::State sync = sources.sync->state();
  if (!sync.connected && sources.cache->revision() == 0)
    return StrCat("there is no policy: the control plane is away: ", sync.error);
  return "";
}

}  // namespace sallyport::agent
