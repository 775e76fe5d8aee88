// Asks handlers' endpoints whether they serve (grpc.health.v1).

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_HEALTH_CHECKER_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_HEALTH_CHECKER_H_

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "agent/proxy/handlers/connect_endpoint.h"
#include "agent/proxy/handlers/endpoint_stats.h"
#include "agent/proxy/handlers/handler_tls.h"
#include "agent/proxy/handlers/link.h"
#include "common/policy/snapshot.h"

namespace sallyport::proxy {

// One of each host: every endpoint is asked once, whichever and however many containers call it, by
// a connection of its own. What it says is in EndpointStats, where all workers look. Belongs to one
// worker.
class HealthChecker {
 public:
  // `tls` outlives it.
  HealthChecker(EndpointDial dial, HandlerTlsSource* tls, std::shared_ptr<HandlerStats> stats)
      : dial_(std::move(dial)), tls_(tls), stats_(std::move(stats)) {}
  ~HealthChecker();
  HealthChecker(const HealthChecker&) = delete;
  HealthChecker& operator=(const HealthChecker&) = delete;

  // What is registered by now is asked from here on, and nothing else.
  void OnPolicyChange(const PolicySnapshot& policy);

 private:
  struct Check;
  using Key = std::pair<std::string, std::string>;  // A handler, an endpoint.

  static Task<void> Run(EndpointDial dial, std::shared_ptr<Check> check);
  // OK: it serves.
  static Task<absl::Status> Ask(EndpointDial dial, std::shared_ptr<Check> check);
  static Task<absl::Status> Connect(EndpointDial dial, Check* check, SteadyTime deadline);
  static void Stop(Check& check);

  const EndpointDial dial_;
  HandlerTlsSource* const tls_;
  const std::shared_ptr<HandlerStats> stats_;
  std::map<Key, std::shared_ptr<Check>> checks_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_HEALTH_CHECKER_H_
