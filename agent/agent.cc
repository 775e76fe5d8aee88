#include "agent/agent.h"

#include <chrono>
#include <string>
#include <utility>

#include "agent/audit_file.h"
#include "agent/control_socket.h"
#include "agent/metrics.h"
#include "agent/proxy/limits.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/version.h"

namespace sallyport::agent {
namespace {

// For calls that are being answered when the agent stops.
constexpr std::chrono::milliseconds kCallsDeadline{200};

ProxySupervisor::Options ProxyOptions(const Config& config, UniqueFd audit_file) {
  ProxySupervisor::Options options;
  options.binary = config.proxy_binary;
  options.arguments = {"--control-fd=" + std::to_string(kProxyControlFd),
                       "--user=" + config.proxy_user};
  if (!config.origin_roots.empty())
    options.arguments.push_back("--origin-roots=" + config.origin_roots);
  options.configure.set_workers(static_cast<uint32_t>(config.workers));
  options.configure.mutable_resolvers()->Add(config.resolvers.begin(), config.resolvers.end());
  options.configure.mutable_open_ranges()->Add(config.open_ranges.begin(),
                                               config.open_ranges.end());
  options.configure.set_max_memory_bytes(static_cast<uint64_t>(config.max_memory_mib) << 20);
  for (const std::string& limit : config.limits) {
    const auto parsed = proxy::ParseLimit(limit);
    SALLYPORT_CHECK(parsed.ok());  // CheckConfig has read it.
    (*options.configure.mutable_limits())[parsed->first] = parsed->second;
  }
  options.audit_file = std::move(audit_file);
  options.secrets_dir = config.secrets_dir;
  options.handler_socket_directories = config.handler_socket_dirs;
  return options;
}

HandlerCertificateFiles CertificateFiles(const Config& config) {
  if (!config.handler_certificate.empty()) return {config.handler_certificate, config.handler_key};
  if (config.tls_dir.empty()) return {};
  return {config.tls_dir + "/tls.crt", config.tls_dir + "/tls.key"};
}

SyncClient::Options SyncOptions(const Config& config, const TokenKeys* token_keys) {
  return {.target = config.control_plane,
          .tls_dir = config.tls_dir,
          .host_name = config.host_name,
          .version = kVersion,
          .token_keys = token_keys};
}

}  // namespace

absl::StatusOr<std::unique_ptr<Agent>> Agent::Start(const Config& config) {
  ASSIGN_OR_RETURN(std::unique_ptr<RunDirectory> run_directory, RunDirectory::Open(config.run_dir));
  ASSIGN_OR_RETURN(std::unique_ptr<PolicyCache> cache, PolicyCache::Open(config.state_dir));
  ASSIGN_OR_RETURN(std::unique_ptr<TokenKeys> token_keys, TokenKeys::Create());
  ASSIGN_OR_RETURN(UniqueFd audit_file, config.audit == kStdout
                                            ? StdoutForAudit()
                                            : OpenAuditFile("--audit", config.audit));
  const auto audit_file_id =
      config.audit == kStdout ? std::nullopt : AuditRotation::IdOf(audit_file);
  std::unique_ptr<Agent> agent(new Agent(config, std::move(run_directory), std::move(cache),
                                         std::move(token_keys), std::move(audit_file)));
  ASSIGN_OR_RETURN(agent->server_, ServeOnSocket(config.socket_path(), &agent->control_service_));
  if (audit_file_id.has_value()) agent->RotateAuditFile(config, *audit_file_id);
  if (!config.metrics.empty()) RETURN_IF_ERROR(agent->ServeMetrics(config));
  return agent;
}

void Agent::RotateAuditFile(const Config& config, AuditRotation::FileId file) {
  AuditRotation::Options options{.path = config.audit,
                                 .max_bytes = static_cast<uint64_t>(config.audit_max_mib) << 20,
                                 .keep = config.audit_keep};
  audit_rotation_.emplace(std::move(options), file,
                          [this](UniqueFd next) { supervisor_.SetAuditFile(std::move(next)); });
}

absl::Status Agent::ServeMetrics(const Config& config) {
  const MetricSources sources{config.host_name, &containers_, &supervisor_, &sync_, cache_.get()};
  ASSIGN_OR_RETURN(status_server_,
                   StatusServer::Start(config.metrics,
                                       {.metrics = [sources] { return HostMetrics(sources); },
                                        .not_ready = [sources] { return WhyNotReady(sources); }}));
  return absl::OkStatus();
}

Agent::Agent(const Config& config, std::unique_ptr<RunDirectory> run_directory,
             std::unique_ptr<PolicyCache> cache, std::unique_ptr<TokenKeys> token_keys,
             UniqueFd audit_file)
    : run_directory_(std::move(run_directory)),
      cache_(std::move(cache)),
      token_keys_(std::move(token_keys)),
      supervisor_(ProxyOptions(config, std::move(audit_file)), cache_.get()),
      secret_refresher_(&supervisor_),
      sync_(SyncOptions(config, token_keys_.get()), &supervisor_, cache_.get()),
      identity_keeper_(config.host_name, CertificateFiles(config), token_keys_.get(), &supervisor_,
                       &sync_),
      containers_(run_directory_.get(), &supervisor_, &sync_),
      control_service_({.host_name = config.host_name,
                        .control_plane = config.control_plane,
                        .containers = &containers_,
                        .supervisor = &supervisor_,
                        .sync = &sync_,
                        .cache = cache_.get()}) {}

// Nothing is served any more before anything is taken down.
Agent::~Agent() {
  supervisor_.Stop();
  audit_rotation_.reset();
  status_server_.reset();
  sync_.AbandonWaits();
  if (server_ != nullptr) {
    server_->Shutdown(std::chrono::system_clock::now() + kCallsDeadline);
    server_.reset();
  }
  containers_.Close();
  sync_.Stop();
}

}  // namespace sallyport::agent
