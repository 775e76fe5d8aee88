#include "agent/agent.h"

#include <chrono>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "agent/audit_file.h"
#include "agent/control_socket.h"
#include "agent/kept_container.h"
#include "agent/metrics.h"
#include "agent/proxy/limits.h"
#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/version.h"

namespace sallyport::agent {
namespace {

// For calls that are being answered when the agent stops.
constexpr std::chrono::milliseconds kCallsDeadline{200};
// The files of secrets are few and small; what they stand for may be put in place by a rename, a
// mount or a link in any folder above them, which is why they are read rather than watched.
constexpr std::chrono::seconds kSecretsPeriod{1};

ProxySupervisor::Options ProxyOptions(const Config& config, const FdStore& store,
                                      UniqueFd audit_file) {
  ProxySupervisor::Options options;
  options.program.binary = config.proxy_binary;
  options.program.arguments = {"--control-fd=" + std::to_string(kProxyControlFd),
                               "--user=" + config.proxy_user};
  if (!config.origin_roots.empty())
    options.program.arguments.push_back("--origin-roots=" + config.origin_roots);
  options.program.life =
      store.exists() ? ProxyProcess::Life::kWithDoor : ProxyProcess::Life::kWithAgent;
  options.drain_limit = config.drain_limit;
  options.configure.set_workers(static_cast<uint32_t>(config.workers));
  options.configure.mutable_resolvers()->Add(config.resolvers.begin(), config.resolvers.end());
  options.configure.mutable_open_ranges()->Add(config.open_ranges.begin(),
                                               config.open_ranges.end());
  options.configure.set_start_traces(config.start_traces);
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

// What the agent before this one has left.
struct Kept {
  std::vector<FoundProxy> proxies;
  std::vector<KeptContainer> containers;

  std::set<std::string> ids() const {
    std::set<std::string> ids;
    for (const KeptContainer& one : containers) ids.insert(one.served->id);
    return ids;
  }
  std::vector<v1::Attached> attached() const {
    std::vector<v1::Attached> attached;
    for (const KeptContainer& one : containers) {
      v1::Attached& container = attached.emplace_back();
      container.set_container_id(one.served->id);
      container.set_class_name(one.class_name);
      container.set_ephemeral(one.ephemeral);
    }
    return attached;
  }
};

absl::Status ReadOne(const Inherited& one, Kept* kept) {
  ASSIGN_OR_RETURN(Parcel parcel, Unpack(one.fd.get()));
  if (IsKeptProxy(one.name)) {
    ASSIGN_OR_RETURN(FoundProxy proxy, ReadProxy(one.name, std::move(parcel)));
    kept->proxies.push_back(std::move(proxy));
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(KeptContainer container, ReadContainer(one.name, std::move(parcel)));
  kept->containers.push_back(std::move(container));
  return absl::OkStatus();
}

Kept ReadKept(std::vector<Inherited> inherited, const FdStore& store) {
  Kept kept;
  for (const Inherited& one : inherited) {
    const absl::Status read = ReadOne(one, &kept);
    if (read.ok()) continue;
    LogWarning("what was kept as ", one.name, " is of no use: ", read.message());
    store.Forget(one.name);
  }
  return kept;
}

SyncClient::Options SyncOptions(const Config& config, const TokenKeys* token_keys,
                                AuditPublisher* audit, const Kept& kept) {
  return {.target = config.control_plane,
          .tls_dir = config.tls_dir,
          .host_name = config.host_name,
          .version = kVersion,
          .token_keys = token_keys,
          .audit = audit,
          .attached = kept.attached()};
}

ProxySupervisor::Found FoundBy(Kept* kept) {
  ProxySupervisor::Found found;
  found.proxies = std::move(kept->proxies);
  for (const KeptContainer& one : kept->containers) found.containers.push_back(one.served);
  return found;
}

}  // namespace

struct Agent::Parts {
  FdStore store;
  Kept kept;
  std::unique_ptr<RunDirectory> run_directory;
  std::unique_ptr<HostRules> host_rules;
  std::unique_ptr<PolicyCache> cache;
  std::unique_ptr<TokenKeys> token_keys;
  UniqueFd audit_file;
};

absl::StatusOr<std::unique_ptr<Agent>> Agent::Start(const Config& config, FdStore store,
                                                    std::vector<Inherited> inherited) {
  // First: a second agent would take what the first one has.
  RETURN_IF_ERROR(ControlSocket::CheckFree(config.socket_path()));
  const bool takes_over = !inherited.empty();
  Parts parts;
  parts.kept = ReadKept(std::move(inherited), store);
  parts.store = std::move(store);
  ASSIGN_OR_RETURN(parts.run_directory, RunDirectory::Open(config.run_dir, parts.kept.ids()));
  ASSIGN_OR_RETURN(parts.host_rules, HostRules::Open(config.run_dir + "/routed"));
  ASSIGN_OR_RETURN(parts.cache, PolicyCache::Open(config.state_dir));
  ASSIGN_OR_RETURN(parts.token_keys, TokenKeys::Create());
  ASSIGN_OR_RETURN(parts.audit_file, config.audit == kStdout
                                         ? StdoutForAudit()
                                         : OpenAuditFile("--audit", config.audit));
  const auto audit_file_id =
      config.audit == kStdout ? std::nullopt : AuditRotation::IdOf(parts.audit_file);
  std::unique_ptr<Agent> agent(new Agent(config, std::move(parts)));
  if (absl::Status status = agent->Listen(config); !status.ok()) {
    // Not taken down: the next agent may have more luck with it.
    if (takes_over) std::ignore = agent.release();
    return status;
  }
  if (audit_file_id.has_value()) agent->RotateAuditFile(config, *audit_file_id);
  agent->store_.Tell("READY=1");
  return agent;
}

absl::Status Agent::Listen(const Config& config) {
  ASSIGN_OR_RETURN(control_socket_, ControlSocket::Serve(config.socket_path(), &control_service_));
  return config.metrics.empty() ? absl::OkStatus() : ServeMetrics(config);
}

void Agent::RotateAuditFile(const Config& config, AuditRotation::FileId file) {
  AuditRotation::Options options{.path = config.audit,
                                 .max_bytes = static_cast<uint64_t>(config.audit_max_mib) << 20,
                                 .keep = config.audit_keep};
  audit_rotation_.emplace(std::move(options), file,
                          [this](UniqueFd next) { supervisor_.SetAuditFile(std::move(next)); });
}

absl::Status Agent::ServeMetrics(const Config& config) {
  const MetricSources sources{config.host_name, &containers_, &supervisor_,
                              &sync_,           cache_.get(), &audit_publisher_};
  ASSIGN_OR_RETURN(status_server_,
                   StatusServer::Start(config.metrics,
                                       {.metrics = [sources] { return HostMetrics(sources); },
                                        .not_ready = [sources] { return WhyNotReady(sources); }}));
  return absl::OkStatus();
}

Agent::Agent(const Config& config, Parts parts)
    : store_(std::move(parts.store)),
      run_directory_(std::move(parts.run_directory)),
      host_rules_(std::move(parts.host_rules)),
      cache_(std::move(parts.cache)),
      token_keys_(std::move(parts.token_keys)),
      supervisor_(ProxyOptions(config, store_, std::move(parts.audit_file)), cache_.get(), &store_,
                  FoundBy(&parts.kept)),
      refresh_secrets_(kSecretsPeriod, [this] { supervisor_.RefreshSecrets(); }),
      audit_publisher_(config.host_name,
                       [this](UniqueFd tap) { supervisor_.SetAuditTap(std::move(tap)); }),
      sync_(SyncOptions(config, token_keys_.get(), &audit_publisher_, parts.kept), &supervisor_,
            cache_.get()),
      identity_keeper_(config.host_name, CertificateFiles(config), token_keys_.get(), &supervisor_,
                       &sync_),
      containers_(run_directory_.get(), host_rules_.get(), &supervisor_, &sync_, &store_,
                  std::move(parts.kept.containers)),
      control_service_({.host_name = config.host_name,
                        .control_plane = config.control_plane,
                        .containers = &containers_,
                        .supervisor = &supervisor_,
                        .sync = &sync_,
                        .cache = cache_.get()}) {}

// Nothing is served any more before anything is taken down.
Agent::~Agent() {
  store_.Tell("STOPPING=1");
  supervisor_.Stop();
  audit_rotation_.reset();
  status_server_.reset();
  sync_.AbandonWaits();
  if (control_socket_ != nullptr) {
    control_socket_->Shutdown(std::chrono::system_clock::now() + kCallsDeadline);
    control_socket_.reset();
  }
  containers_.Close();
  sync_.Stop();
}

void Agent::HandOver() {
  sync_.AbandonWaits();
  control_socket_->Shutdown(std::chrono::system_clock::now() + kCallsDeadline);
}

}  // namespace sallyport::agent
