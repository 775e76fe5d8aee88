// One thread of the data plane: its event loop, its view of the policy, and the containers it
// serves.

#ifndef SALLYPORT_AGENT_PROXY_WORKER_H_
#define SALLYPORT_AGENT_PROXY_WORKER_H_

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "agent/proxy/audit/class_stats.h"
#include "agent/proxy/container.h"
#include "agent/proxy/handlers/handler_tls.h"
#include "agent/proxy/handlers/health_checker.h"
#include "agent/proxy/identity/handler_identity.h"
#include "agent/proxy/listener.h"
#include "agent/proxy/overload.h"
#include "agent/proxy/turns.h"

namespace sallyport::proxy {

// What every worker is given at start. Immutable, shared.
struct WorkerConfig {
  std::vector<std::string> resolvers;
  OpenRanges open_ranges;
  std::shared_ptr<const UpstreamTls::Roots> roots;
  std::shared_ptr<AuditSink> audit_file;  // May be null.
  std::shared_ptr<AuditTap> audit_tap;    // May be null.
  bool start_traces = false;              // Requests that have no `traceparent` get one.
  std::shared_ptr<Overload> overload = std::make_shared<Overload>();
  std::shared_ptr<const SocketSource> handler_sockets;  // May be null.
  std::shared_ptr<HandlerStats> handler_stats = std::make_shared<HandlerStats>();
};

// A container as the control thread hands it to one worker.
struct ContainerSetup {
  std::string id;
  std::shared_ptr<LeafAuthority> leaves;
  std::shared_ptr<ContainerDns> dns;
  std::shared_ptr<ContainerBudget> budget;
  std::shared_ptr<BuiltinRates> builtin_rates;
  std::shared_ptr<LeaseTable> leases;
  std::shared_ptr<AuditSink> audit_stream;                  // May be null.
  std::shared_ptr<const ProxyCredential> proxy_credential;  // Null: no explicit proxy.
  std::shared_ptr<const google::protobuf::Struct> params;
  std::vector<UniqueFd> tcp_listeners;
  std::vector<UniqueFd> dns_sockets;  // Empty on all workers but one.
};

// Everything but CheckHandlers, Start, Post, Stop and class_stats is called on the worker's own
// thread only.
class Worker {
 public:
  static absl::StatusOr<std::unique_ptr<Worker>> Create(std::shared_ptr<const WorkerConfig> config);
  ~Worker();

  // This one asks handlers whether they serve, for all workers. Before Start.
  absl::Status CheckHandlers();
  void Start();
  // Ends the loop and joins the thread. Thread-safe.
  void Stop();
  // Runs `work` on the worker's thread. Thread-safe.
  void Post(std::function<void()> work);

  // From here on decisions are made by `snapshot`; relays that it does not permit are closed before
  // this returns.
  void SwapSnapshot(std::shared_ptr<const PolicySnapshot> snapshot);
  // The secrets that its handlers refer to; comes before the snapshot that needs them.
  void SwapSecrets(std::shared_ptr<const SecretTable> secrets) { secrets_ = std::move(secrets); }
  // Whom this host is to handlers, from the next call on.
  void SwapIdentity(std::shared_ptr<const HandlerIdentity> identity);
  absl::Status AddContainer(ContainerSetup setup);
  void RemoveContainer(const std::string& id);
  // Accepts nothing any more, of any container; what has begun goes on.
  void Drain();
  // No DNS query is under way, nor will one be taken. REQUIRES: Drain was called.
  bool dns_is_drained() const { return serving_dns_ == 0; }

  boost::asio::io_context& io_context() { return context_; }
  const PolicySnapshot& snapshot() const { return *snapshot_; }
  const SecretTable& secrets() const { return *secrets_; }
  Overload& overload() { return *config_->overload; }
  const std::shared_ptr<const SocketSource>& handler_sockets() { return config_->handler_sockets; }
  const std::shared_ptr<HandlerStats>& handler_stats() { return config_->handler_stats; }
  ClassStats& class_stats() { return class_stats_; }
  bool starts_traces() const { return config_->start_traces; }
  HandlerTlsSource& handler_tls() { return handler_tls_; }
  // Null: there is no key.
  const std::shared_ptr<const TokenSigner>& token_signer() const { return identity_->signer; }
  TurnShare::Passes& passes() { return passes_; }
  DialContext dial_context() {
    return DialContext{&context_, resolver_.get(), &config_->open_ranges};
  }

 private:
  struct Served {
    ContainerPtr container;
    std::vector<std::shared_ptr<Listener>> listeners;
    std::vector<std::shared_ptr<DnsServer>> dns_servers;
  };

  explicit Worker(std::shared_ptr<const WorkerConfig> config);

  // The server lives until its last query is answered.
  static Task<void> ServeDns(Worker* self, std::shared_ptr<DnsServer> server);
  // Lets go now and then of what containers that ask for nothing keep.
  static Task<void> Sweep(Worker* self);

  const std::shared_ptr<const WorkerConfig> config_;
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<Executor> work_guard_;
  TurnShare::Passes passes_{context_};
  std::unique_ptr<Resolver> resolver_;
  std::unique_ptr<UpstreamTls> checker_tls_;
  std::unique_ptr<HealthChecker> health_checker_;  // Null: another one does it.
  std::shared_ptr<const PolicySnapshot> snapshot_ = std::make_shared<PolicySnapshot>();
  std::shared_ptr<const SecretTable> secrets_ = std::make_shared<SecretTable>();
  std::shared_ptr<const HandlerIdentity> identity_ = std::make_shared<HandlerIdentity>();
  HandlerTlsSource handler_tls_;
  ClassStats class_stats_;
  absl::flat_hash_map<std::string, Served> served_;
  size_t serving_dns_ = 0;
  std::thread thread_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_WORKER_H_
