// Connections of one container to handlers.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_POOL_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_POOL_H_

#include <chrono>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "agent/proxy/budget.h"
#include "agent/proxy/handlers/connect_endpoint.h"
#include "agent/proxy/handlers/endpoint_choice.h"
#include "agent/proxy/handlers/endpoint_stats.h"
#include "agent/proxy/handlers/handler_tls.h"
#include "agent/proxy/handlers/link.h"
#include "agent/proxy/http/h1_connection.h"
#include "common/policy/handler_spec.h"

namespace sallyport::proxy {

// One endpoint as one container on one worker sees it. What holds it may outlive the pool.
struct PooledEndpoint {
  struct Idle {
    std::unique_ptr<H1ClientConnection> connection;
    SteadyTime since;
  };
  HandlerEndpoint endpoint;
  std::shared_ptr<EndpointStats> stats;
  EndpointHealth health;
  std::shared_ptr<HandlerLink> link;  // gRPC: one HTTP/2 connection, made when first needed.
  std::list<Idle> idle;               // HTTP; used last at the back.
};

// One call, counted as long as it lives. Says how it went, once; a call that the container gave up
// says nothing. Belongs to one worker. The container's budget outlives it.
class EndpointCall {
 public:
  EndpointCall() = default;
  EndpointCall(std::shared_ptr<PooledEndpoint> endpoint, Gauge::Token concurrency);
  EndpointCall(EndpointCall&&) = default;
  EndpointCall& operator=(EndpointCall&& other) noexcept;
  ~EndpointCall() { Release(); }

  // Its answer has begun, and is a legal one.
  void Answered();
  // It was not reached, was late, or broke its contract.
  void Failed();
  // Ends the counting.
  void Release();
  // For the same call's next attempt.
  Gauge::Token TakeConcurrency() { return std::move(concurrency_); }

  const std::shared_ptr<PooledEndpoint>& endpoint() const { return endpoint_; }

 private:
  std::shared_ptr<PooledEndpoint> endpoint_;  // Null: released.
  Gauge::Token concurrency_;
  std::chrono::steady_clock::time_point start_;
};

// What a call goes over: one of the two, by the handler's protocol.
struct HandlerConnection {
  std::shared_ptr<HandlerLink> link;
  std::unique_ptr<H1ClientConnection> http;
  bool reused = false;  // An HTTP connection that may have been closed by its idle peer.
  EndpointCall call;
};

// Belongs to one container on one worker. An endpoint that is registered no more ends its calls and
// is let go.
class HandlerPool {
 public:
  static constexpr size_t kMaxIdle = 16;  // HTTP connections of one endpoint.
  static constexpr std::chrono::seconds kMaxIdleTime{30};

  using Endpoints = std::vector<std::shared_ptr<PooledEndpoint>>;
  enum class Idle { kWelcome, kUnwanted };

  // `tls` outlives the pool.
  HandlerPool(EndpointDial dial, HandlerTlsSource* tls, std::shared_ptr<HandlerStats> stats,
              std::shared_ptr<ContainerBudget> budget);

  // A connection to the endpoint with the fewest calls in flight that answers; those in `tried`
  // come last. UNAVAILABLE or DEADLINE_EXCEEDED: none did. RESOURCE_EXHAUSTED: the container has as
  // many calls in flight as the handler takes. The pool must outlive the call.
  Task<absl::StatusOr<HandlerConnection>> Get(std::shared_ptr<const HandlerSpec> handler,
                                              SteadyTime deadline, Endpoints tried = {},
                                              Idle idle = Idle::kWelcome);
  // REQUIRES: connection->reusable().
  static void Put(const std::shared_ptr<PooledEndpoint>& endpoint,
                  std::unique_ptr<H1ClientConnection> connection);

  // Lets go of what is registered otherwise now, or not at all: null.
  using Registry = absl::FunctionRef<std::shared_ptr<const HandlerSpec>(const std::string& name)>;
  void OnPolicyChange(Registry registry);
  // Lets go of connections that show another certificate than this host's of now.
  void OnCertificateChange();
  // Closes every link and its calls.
  void Clear();

 private:
  struct Known {
    std::shared_ptr<const HandlerSpec> spec;
    Endpoints endpoints;  // As in `spec`. Their connections are by `tls` alone.
    EndpointTls tls;      // Made when it is needed.
    std::shared_ptr<const ClientCertificate> certificate;  // That `tls` shows.
  };

  Known& Learn(const std::shared_ptr<const HandlerSpec>& handler);
  // By the settings and the certificate of this moment.
  absl::StatusOr<EndpointTls> TlsOf(Known& known);
  void LetGoOfTls(Known& known);
  // Those that may be called.
  Endpoints OrderOf(const Known& known, const Endpoints& tried);

  const EndpointDial dial_;
  HandlerTlsSource* const tls_;
  const std::shared_ptr<HandlerStats> stats_;
  const std::shared_ptr<ContainerBudget> budget_;
  absl::flat_hash_map<std::string, Known> known_;  // By the handler's name.
  size_t turn_ = 0;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_POOL_H_
