#include "agent/proxy/worker.h"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <utility>

#include "agent/proxy/free_memory.h"
#include "common/base/status.h"

namespace sallyport::proxy {
namespace {

constexpr std::chrono::seconds kBetweenSweeps{5};

}  // namespace

absl::StatusOr<std::unique_ptr<Worker>> Worker::Create(std::shared_ptr<const WorkerConfig> config) {
  std::unique_ptr<Worker> worker(new Worker(config));
  ASSIGN_OR_RETURN(worker->resolver_, Resolver::Create(worker->context_, config->resolvers));
  return worker;
}

Worker::Worker(std::shared_ptr<const WorkerConfig> config)
    : config_(std::move(config)),
      work_guard_(context_.get_executor()),
      handler_tls_(config_->roots) {}

Worker::~Worker() { Stop(); }

absl::Status Worker::CheckHandlers() {
  ASSIGN_OR_RETURN(checker_tls_, UpstreamTls::Create(config_->roots));
  health_checker_ = std::make_unique<HealthChecker>(
      EndpointDial{&context_, resolver_.get(), checker_tls_.get(), config_->handler_sockets},
      &handler_tls_, config_->handler_stats);
  return absl::OkStatus();
}

void Worker::Start() {
  Spawn(context_, Sweep(this));
  thread_ = std::thread([this] { context_.run(); });
}

Task<void> Worker::ServeDns(Worker* self, std::shared_ptr<DnsServer> server) {
  ++self->serving_dns_;
  co_await server->Serve();
  --self->serving_dns_;
}

Task<void> Worker::Sweep(Worker* self) {
  boost::asio::steady_timer timer(self->context_);
  while (true) {
    timer.expires_after(kBetweenSweeps);
    const boost::system::error_code error = co_await timer.async_wait(kUseTask);
    if (error) co_return;
    for (auto& [id, served] : self->served_) served.container->origins().http1.Expire();
    ReleaseThreadCache();
  }
}

void Worker::Stop() {
  context_.stop();
  if (thread_.joinable()) thread_.join();
}

void Worker::Post(std::function<void()> work) { boost::asio::post(context_, std::move(work)); }

void Worker::SwapSnapshot(std::shared_ptr<const PolicySnapshot> snapshot) {
  snapshot_ = std::move(snapshot);
  for (auto& [id, served] : served_) served.container->OnPolicyChange();
  if (health_checker_ != nullptr) health_checker_->OnPolicyChange(*snapshot_);
}

void Worker::SwapIdentity(std::shared_ptr<const HandlerIdentity> identity) {
  identity_ = std::move(identity);
  handler_tls_.SetCertificate(identity_->certificate);
  for (auto& [id, served] : served_) served.container->OnIdentityChange();
}

absl::Status Worker::AddContainer(ContainerSetup setup) {
  Container::Parts parts;
  parts.id = setup.id;
  parts.leaves = setup.leaves;
  ASSIGN_OR_RETURN(parts.upstream_tls, UpstreamTls::Create(config_->roots));
  parts.dns = setup.dns;
  parts.budget = setup.budget;
  parts.builtin_rates = setup.builtin_rates;
  parts.leases = setup.leases;
  parts.audit_file = config_->audit_file;
  parts.audit_tap = config_->audit_tap;
  parts.audit_stream = setup.audit_stream;
  parts.proxy_credential = setup.proxy_credential;
  parts.params = setup.params;

  RemoveContainer(setup.id);
  Served& served = served_[setup.id];
  served.container = std::make_shared<Container>(this, std::move(parts));
  for (UniqueFd& socket : setup.tcp_listeners) {
    served.listeners.push_back(
        std::make_shared<Listener>(context_, std::move(socket), served.container));
    served.listeners.back()->Start();
  }
  for (UniqueFd& socket : setup.dns_sockets) {
    std::shared_ptr<DnsServer> server =
        DnsServer::Create(context_, std::move(socket), Container::DnsOptions(served.container));
    Spawn(context_, ServeDns(this, server));
    served.dns_servers.push_back(std::move(server));
  }
  return absl::OkStatus();
}

void Worker::RemoveContainer(const std::string& id) {
  const auto found = served_.find(id);
  if (found == served_.end()) return;
  for (const auto& listener : found->second.listeners) listener->Stop();
  for (const auto& server : found->second.dns_servers) server->Stop();
  found->second.container->Shutdown();
  served_.erase(found);
}

void Worker::Drain() {
  for (auto& [id, served] : served_) {
    for (const auto& listener : served.listeners) listener->Stop();
    for (const auto& server : served.dns_servers) server->Drain();
    served.container->Drain();
  }
}

}  // namespace sallyport::proxy
