#include "agent/proxy_supervisor.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/builtin/secret_reference.h"

namespace sallyport::agent {
namespace {

using std::chrono::milliseconds;

// Of proxies that drain.
constexpr size_t kMaxDraining = 16;
// How often a call that waits for a proxy looks whether it is still wanted.
constexpr milliseconds kStopCheck{100};
// A policy is replayed in pieces of about this size, well below kMaxFramePayload.
constexpr size_t kReplayBytes = size_t{16} << 20;

internal::Command AddCommand(const ProxyContainer& container) {
  internal::Command command;
  internal::AddContainer* const add = command.mutable_add_container();
  add->set_container_id(container.id);
  add->set_instance(container.instance);
  add->set_ca_certificate(container.ca.certificate_der);
  add->set_ca_private_key(container.ca.private_key_der);
  add->set_has_audit_stream(container.audit_stream.valid());
  add->set_proxy_token(container.proxy_token);
  if (!container.params.fields().empty()) *add->mutable_params() = container.params;
  return command;
}

std::vector<int> DescriptorsOf(const ProxyContainer& container) {
  std::vector<int> fds = container.sockets.Descriptors();
  if (container.audit_stream.valid()) fds.push_back(container.audit_stream.get());
  return fds;
}

// `revision`: that the policy has with the delta.
internal::Command UpdateCommand(const v1::Delta& delta, uint64_t revision) {
  internal::Command command;
  internal::UpdatePolicy* const update = command.mutable_update_policy();
  update->set_revision(revision);
  update->set_reset(delta.reset());
  *update->mutable_updated() = delta.updated();
  *update->mutable_removed() = delta.removed();
  return command;
}

// With a seed of this process.
size_t HashOf(const internal::SecretValues& secrets) {
  std::string bytes = secrets.SerializeAsString();
  const size_t hash = absl::Hash<std::string>()(bytes);
  Wipe(&bytes);
  return hash;
}

bool TouchesSecrets(const v1::Delta& policy) {
  return std::any_of(policy.updated().begin(), policy.updated().end(), [](const auto& resource) {
    return resource.has_handler() && !SecretsOf(resource.handler()).empty();
  });
}

bool ShowsCertificate(const v1::Delta& policy) {
  return std::any_of(policy.updated().begin(), policy.updated().end(), [](const auto& resource) {
    return resource.handler().tls().client_certificate();
  });
}

}  // namespace

ProxySupervisor::ProxySupervisor(Options options, PolicyCache* cache, const FdStore* store,
                                 Found found)
    : audit_file_(std::move(options.audit_file)),
      options_(std::move(options)),
      build_(BuildOf(options_.program, options_.configure)),
      cache_(cache),
      store_(store),
      secrets_(options_.secrets_dir),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      found_(std::move(found.proxies)),
      references_(ReferencesOf(cache->Full())) {
  {
    MutexLock lock(&call_mutex_);
    for (auto& container : found.containers) containers_.emplace(container->id, container);
  }
  thread_ = std::thread([this] { Run(); });
}

absl::Status ProxySupervisor::Refusal(const internal::Done& done) {
  if (done.error().empty()) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("the proxy refused: ", done.error()));
}

ProxySupervisor::References ProxySupervisor::ReferencesOf(const v1::Delta& delta) {
  References references;
  Apply(delta, &references);
  return references;
}

void ProxySupervisor::Apply(const v1::Delta& delta, References* references) {
  if (delta.reset()) references->clear();
  for (const v1::ResourceKey& key : delta.removed()) {
    if (key.kind() == v1::RESOURCE_KIND_HANDLER) references->erase(key.name());
  }
  for (const v1::Resource& resource : delta.updated()) {
    if (!resource.has_handler()) continue;
    references->erase(resource.handler().name());
    std::vector<v1::SecretReference> used = SecretsOf(resource.handler());
    if (!used.empty()) (*references)[resource.handler().name()] = std::move(used);
  }
}

internal::SecretValues ProxySupervisor::ResolveSecrets() {
  std::vector<v1::SecretReference> all;
  for (const auto& [handler, used] : references_) all.insert(all.end(), used.begin(), used.end());
  return secrets_.Resolve(all);
}

bool ProxySupervisor::ResolveNews(internal::SecretValues* secrets) {
  *secrets = ResolveSecrets();
  const bool complete = std::all_of(secrets->entries().begin(), secrets->entries().end(),
                                    [](const auto& entry) { return entry.problem().empty(); });
  if (complete) secrets_unheard_ = false;
  return !secrets_unheard_;
}

ProxySupervisor::~ProxySupervisor() {
  Stop();
  thread_.join();
  MutexLock lock(&call_mutex_);
  Wipe(identity_.mutable_private_key());
  Wipe(identity_.mutable_token_key());
}

absl::Status ProxySupervisor::AddContainer(std::shared_ptr<const ProxyContainer> container,
                                           Clock::time_point deadline) {
  MutexLock lock(&call_mutex_);
  ASSIGN_OR_RETURN(const internal::Done done,
                   CallSome(AddCommand(*container), DescriptorsOf(*container), deadline));
  RETURN_IF_ERROR(Refusal(done));
  containers_.emplace(container->id, std::move(container));
  return absl::OkStatus();
}

void ProxySupervisor::RemoveContainer(const std::string& id) {
  MutexLock lock(&call_mutex_);
  if (containers_.erase(id) == 0) return;
  internal::Command command;
  command.mutable_remove_container()->set_container_id(id);
  // A proxy that fails is replaced by one that never had the container.
  if (Serves()) CallServing(command, {}).status().IgnoreError();
  CallDraining(command);
}

absl::StatusOr<std::vector<v1::Ack::Rejected>> ProxySupervisor::UpdatePolicy(
    const v1::Delta& delta, Clock::time_point deadline) {
  MutexLock lock(&call_mutex_);
  RETURN_IF_ERROR(cache_->CheckLeadsOn(delta));
  const uint64_t revision =
      delta.reset() ? delta.revision() : std::max(delta.revision(), cache_->revision());
  bool secrets_changed = false;
  const v1::Delta policy = secrets_.Take(delta, &secrets_changed);
  const References before = references_;
  Apply(policy, &references_);
  GiveCertificateFor(policy);
  internal::Command command = UpdateCommand(policy, revision);
  std::optional<size_t> hash;
  if (secrets_changed) secrets_unheard_ = false;
  if (secrets_changed || before.size() != references_.size() || TouchesSecrets(policy)) {
    if (ResolveNews(command.mutable_update_policy()->mutable_secrets())) {
      hash = HashOf(command.update_policy().secrets());
    } else {
      WipeSecrets(&command);
      command.mutable_update_policy()->clear_secrets();
    }
  }
  absl::StatusOr<internal::Done> done = CallSome(command, {}, deadline);
  WipeSecrets(&command);
  absl::Status status = done.ok() ? Refusal(*done) : done.status();
  std::vector<v1::Ack::Rejected> rejected;
  if (status.ok()) {
    rejected.assign(done->rejected().begin(), done->rejected().end());
    status = cache_->Commit(policy, rejected);
  }
  if (status.ok()) {
    // Not before: a proxy that was started meanwhile was given others.
    if (hash.has_value()) secrets_hash_ = *hash;
    return rejected;
  }
  references_ = before;
  secrets_hash_ = 0;
  return status;
}

void ProxySupervisor::RefreshSecrets() {
  MutexLock lock(&call_mutex_);
  if (references_.empty() || !Serves()) return;
  internal::Command command;
  const bool news = ResolveNews(command.mutable_set_secrets());
  const size_t hash = HashOf(command.set_secrets());
  if (news && hash != secrets_hash_) {
    CallServing(command, {}).status().IgnoreError();
    CallDraining(command);
    secrets_hash_ = hash;
  }
  WipeSecrets(&command);
}

void ProxySupervisor::SetIdentity(internal::Identity identity) {
  MutexLock lock(&call_mutex_);
  Wipe(identity_.mutable_private_key());
  Wipe(identity_.mutable_token_key());
  identity_ = std::move(identity);
  UpdateIdentity();
  if (replace_by_.has_value()) Wake();
}

internal::Command ProxySupervisor::IdentityCommand() const {
  internal::Command command;
  internal::Identity& identity = *command.mutable_set_identity();
  identity.set_token_key(identity_.token_key());
  identity.set_token_key_id(identity_.token_key_id());
  identity.set_issuer(identity_.issuer());
  if (!shows_certificate_) return command;
  identity.set_certificate_chain(identity_.certificate_chain());
  identity.set_private_key(identity_.private_key());
  return command;
}

void ProxySupervisor::UpdateIdentity() {
  if (!Serves()) return;  // A proxy that is started later gets it first.
  internal::Command command = IdentityCommand();
  const absl::StatusOr<internal::Done> done = CallServing(command, {});
  CallDraining(command);
  WipeSecrets(&command);
  if (done.ok() && !done->error().empty())
    LogError("handlers do not know this host: ", done->error());
}

void ProxySupervisor::GiveCertificateFor(const v1::Delta& policy) {
  if (shows_certificate_ || !ShowsCertificate(policy)) return;
  shows_certificate_ = true;
  UpdateIdentity();
}

void ProxySupervisor::ForgetPolicy(const std::string& container_id) {
  MutexLock lock(&call_mutex_);
  if (absl::Status status = cache_->Forget(container_id); !status.ok()) {
    LogWarning("the rules of container ", container_id, " stay on disk: ", status.message());
  }
  v1::Delta delta;
  v1::ResourceKey* const key = delta.add_removed();
  key->set_kind(v1::RESOURCE_KIND_CONTAINER);
  key->set_name(container_id);
  const internal::Command command = UpdateCommand(delta, cache_->revision());
  if (Serves()) CallServing(command, {}).status().IgnoreError();
  CallDraining(command);
}

absl::StatusOr<pid_t> ProxySupervisor::Restart(Clock::time_point deadline) {
  MutexLock lock(&call_mutex_);
  if (draining_.size() >= kMaxDraining) {
    return absl::ResourceExhaustedError(
        absl::StrCat(draining_.size(),
                     " proxies that were replaced still finish what they have begun; try again "
                     "when one has ended, or shorten --drain-limit"));
  }
  const uint64_t number = ++asked_;
  Wake();
  while (carried_out_ < number) {
    if (stopping()) return NotRunning();
    if (Clock::now() >= deadline)
      return absl::DeadlineExceededError("the new proxy does not serve yet; the log says why");
    proxies_changed_.WaitUntil(&call_mutex_, std::min(deadline, Clock::now() + kStopCheck));
  }
  RETURN_IF_ERROR(outcome_);
  return serving_ == nullptr ? 0 : serving_->pid();
}

absl::StatusOr<v1::UsageResponse> ProxySupervisor::Usage() {
  MutexLock lock(&call_mutex_);
  if (!Serves()) return NotRunning();
  internal::Command command;
  command.mutable_get_usage();
  ASSIGN_OR_RETURN(internal::Done done, CallServing(command, {}));
  RETURN_IF_ERROR(Refusal(done));
  return std::move(*done.mutable_usage());
}

ProxySupervisor::State ProxySupervisor::state() const {
  MutexLock lock(&state_mutex_);
  return state_;
}

void ProxySupervisor::Stop() {
  MutexLock lock(&state_mutex_);
  stopping_ = true;
  for (const RunningProxy* proxy : running_) proxy->Kill();
  Wake();
}

// Policy comes before the containers: a connection that waited must not meet a proxy without
// policy.
absl::Status ProxySupervisor::Replay(RunningProxy* proxy) {
  internal::Command configure;
  *configure.mutable_configure() = options_.configure;
  std::vector<int> fds;
  if (audit_file_.valid()) fds.push_back(audit_file_.get());
  configure.mutable_configure()->set_has_audit_file(!fds.empty());
  configure.mutable_configure()->set_has_handler_sockets(proxy->sockets_peer().valid());
  if (proxy->sockets_peer().valid()) fds.push_back(proxy->sockets_peer().get());
  ASSIGN_OR_RETURN(const internal::Done configured, proxy->Call(configure, fds));
  RETURN_IF_ERROR(Refusal(configured));

  shows_certificate_ = shows_certificate_ || ShowsCertificate(cache_->Full());
  if (!identity_.issuer().empty()) {
    ASSIGN_OR_RETURN(const internal::Done known, proxy->Call(IdentityCommand(), {}));
    // Calls that need it fail, and say so.
    if (!known.error().empty()) LogError("handlers do not know this host: ", known.error());
  }
  if (log_level_ != LogLevel::kInfo) GiveLogLevel(proxy);
  if (audit_tap_.valid()) GiveAuditTap(proxy);
  secrets_unheard_ = false;  // It knows none of its own.
  RETURN_IF_ERROR(ReplayPolicy(proxy));
  for (const auto& [id, container] : containers_) RETURN_IF_ERROR(Give(proxy, *container));
  return absl::OkStatus();
}

absl::Status ProxySupervisor::Give(RunningProxy* proxy, const ProxyContainer& container) {
  ASSIGN_OR_RETURN(const internal::Done added,
                   proxy->Call(AddCommand(container), DescriptorsOf(container)));
  // The others are to be served all the same.
  if (!added.error().empty())
    LogError("container ", container.id, " is not served: ", added.error());
  return absl::OkStatus();
}

absl::Status ProxySupervisor::Resume(RunningProxy* proxy, const internal::Ready& ready) {
  if (!ready.configured())
    return absl::FailedPreconditionError("the agent that started it did not come to set it up");
  internal::Command retain;
  for (const auto& [id, container] : containers_) {
    auto* const one = retain.mutable_retain_containers()->add_containers();
    one->set_container_id(id);
    one->set_instance(container->instance);
  }
  retain.mutable_retain_containers();
  ASSIGN_OR_RETURN(const internal::Done retained, proxy->Call(retain, {}));
  RETURN_IF_ERROR(Refusal(retained));
  // The file may have been moved away while no agent ran.
  if (audit_file_.valid()) {
    internal::Command file;
    file.mutable_set_audit_file();
    const int fds[] = {audit_file_.get()};
    ASSIGN_OR_RETURN(const internal::Done taken, proxy->Call(file, fds));
    RETURN_IF_ERROR(Refusal(taken));
  }
  GiveLogLevel(proxy);  // The agent before this one may have said another.
  if (audit_tap_.valid()) GiveAuditTap(proxy);
  shows_certificate_ = shows_certificate_ || ShowsCertificate(cache_->Full());
  secrets_unheard_ = !references_.empty();
  RETURN_IF_ERROR(ReplayPolicy(proxy));
  if (ready.draining()) return absl::OkStatus();
  for (const std::string& id : retained.missing()) {
    const auto found = containers_.find(id);
    if (found != containers_.end()) RETURN_IF_ERROR(Give(proxy, *found->second));
  }
  return absl::OkStatus();
}

absl::Status ProxySupervisor::ReplayPolicy(RunningProxy* proxy) {
  const v1::Delta full = cache_->Full();
  int next = 0;
  do {
    v1::Delta part;
    part.set_reset(next == 0);
    for (size_t bytes = 0; next < full.updated_size() && bytes < kReplayBytes; ++next) {
      bytes += full.updated(next).ByteSizeLong();
      *part.add_updated() = full.updated(next);
    }
    internal::Command command = UpdateCommand(part, full.revision());
    command.mutable_update_policy()->set_more(next < full.updated_size());
    // All of them come before the first policy that needs one.
    if (part.reset() && !references_.empty()) {
      internal::SecretValues secrets;
      if (ResolveNews(&secrets)) {
        secrets_hash_ = HashOf(secrets);
        *command.mutable_update_policy()->mutable_secrets() = std::move(secrets);
      }
    }
    const absl::StatusOr<internal::Done> answer = proxy->Call(command, {});
    WipeSecrets(&command);
    RETURN_IF_ERROR(answer.status());
    const internal::Done& done = *answer;
    RETURN_IF_ERROR(Refusal(done));
    for (const v1::Ack::Rejected& rejected : done.rejected()) {
      LogWarning("the cached policy of ", rejected.key().name(),
                 " is of no use: ", rejected.reason());
    }
  } while (next < full.updated_size());
  return absl::OkStatus();
}

absl::Status ProxySupervisor::MayConnect(const std::string& path) {
  RETURN_IF_ERROR(CheckSocketDirectory(path, options_.handler_socket_directories));
  // The proxy may decide by a policy that the cache is about to have.
  MutexLock lock(&call_mutex_);
  if (cache_->NamesSocket(path)) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat("no registered handler listens on the socket ", path));
}

void ProxySupervisor::Wake() const {
  const uint64_t one = 1;
  // An eventfd that is readable already is all that is wanted.
  if (write(wake_.get(), &one, sizeof(one)) < 0) return;
}

bool ProxySupervisor::stopping() const {
  MutexLock lock(&state_mutex_);
  return stopping_;
}

absl::Status ProxySupervisor::NotRunning() const {
  MutexLock lock(&state_mutex_);
  return absl::UnavailableError(
      absl::StrCat("the proxy does not run", state_.last_end.empty() ? "" : ": ", state_.last_end));
}

absl::StatusOr<internal::Done> ProxySupervisor::CallSome(const internal::Command& command,
                                                         const std::vector<int>& fds,
                                                         Clock::time_point deadline) {
  for (;;) {
    if (stopping()) return NotRunning();
    if (Serves()) {
      absl::StatusOr<internal::Done> done = CallServing(command, fds);
      if (done.ok()) {
        if (!command.has_add_container()) CallDraining(command);
        return done;
      }
    }
    if (Clock::now() >= deadline) return NotRunning();
    proxies_changed_.WaitUntil(&call_mutex_, std::min(deadline, Clock::now() + kStopCheck));
  }
}

absl::StatusOr<internal::Done> ProxySupervisor::CallServing(const internal::Command& command,
                                                            const std::vector<int>& fds) {
  absl::StatusOr<internal::Done> done = serving_->Call(command, fds);
  if (!done.ok() && !stopping()) LogError("the proxy failed: ", done.status().message());
  return done;
}

void ProxySupervisor::CallDraining(const internal::Command& command, std::span<const int> fds) {
  for (const ProxyPtr& proxy : draining_) {
    if (proxy->lost()) continue;
    const absl::StatusOr<internal::Done> done = proxy->Call(command, fds);
    const absl::Status status = done.ok() ? Refusal(*done) : done.status();
    if (status.ok()) continue;
    proxy->Kill();
    // Most likely it is done.
    LogInfo("the draining proxy ", proxy->pid(), " hears no more: ", status.message());
  }
}

}  // namespace sallyport::agent
