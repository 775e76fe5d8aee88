#include "agent/proxy/control.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "common/base/log.h"
#include "common/base/log_level.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/builtin/secret_reference.h"
#include "common/ipc/door.h"
#include "common/ipc/frame.h"

namespace sallyport::proxy {
namespace {

constexpr size_t kContainerSockets = 4;
constexpr size_t kProxySockets = 1;
constexpr uint32_t kMaxWorkers = 256;
// How often a proxy that drains looks whether it is done.
constexpr std::chrono::milliseconds kDrainCheck{50};

absl::StatusOr<UniqueFd> Duplicate(const UniqueFd& descriptor) {
  UniqueFd copy(fcntl(descriptor.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return absl::ErrnoToStatus(errno, "cannot duplicate a descriptor");
  return copy;
}

DnsLimits DnsLimitsOf(const ContainerLimits& limits) {
  constexpr double kSecondsOfMinute = 60;
  const auto rate = [&](Limit limit) { return static_cast<double>(limits[limit]); };
  const auto count = [&](Limit limit) { return static_cast<size_t>(limits[limit]); };
  DnsLimits dns;
  dns.queries_per_second = rate(Limit::kDnsQueriesPerSecond);
  dns.queries_at_once = rate(Limit::kDnsQueriesBurstSeconds) * dns.queries_per_second;
  dns.upstream_per_second = rate(Limit::kDnsUpstreamPerSecond);
  dns.upstream_at_once = rate(Limit::kDnsUpstreamBurstSeconds) * dns.upstream_per_second;
  dns.max_upstream_under_way = count(Limit::kDnsUpstreamQueries);
  dns.name_bytes_per_second = rate(Limit::kDnsNameBytesPerMinute) / kSecondsOfMinute;
  dns.name_bytes_at_once = rate(Limit::kDnsNameBytesAtOnce);
  dns.max_cached_answers = count(Limit::kDnsCachedAnswers);
  dns.max_cached_bytes = count(Limit::kDnsCachedBytes);
  return dns;
}

Limit LimitOf(DnsLimit limit) {
  switch (limit) {
    case DnsLimit::kQueries:
      return Limit::kDnsQueriesPerSecond;
    case DnsLimit::kUpstream:
      return Limit::kDnsUpstreamPerSecond;
    case DnsLimit::kUpstreamUnderWay:
      return Limit::kDnsUpstreamQueries;
    case DnsLimit::kNameBytes:
      break;
  }
  return Limit::kDnsNameBytesPerMinute;
}

absl::Status ChangeLogLevel(const std::string& name) {
  const std::optional<LogLevel> level = ParseLogLevel(name);
  if (!level.has_value()) return absl::InvalidArgumentError("there is no such log level");
  SetLogLevel(*level);
  return absl::OkStatus();
}

bool HoldsSecrets(const internal::Command& command) {
  return command.has_add_container() || command.has_set_secrets() || command.has_set_identity() ||
         command.update_policy().has_secrets();
}

}  // namespace

Control::Control(UniqueFd door, std::shared_ptr<const UpstreamTls::Roots> roots,
                 MemoryUsage memory_usage)
    : door_(std::move(door)), roots_(std::move(roots)), memory_usage_(std::move(memory_usage)) {}

Control::~Control() {
  for (const auto& worker : workers_) worker->Stop();
}

absl::Status Control::SendEvent(const internal::Event& event) {
  return SendFrame(session_.get(), event.SerializeAsString(), {});
}

absl::Status Control::Run() {
  while (true) {
    absl::Status session;
    switch (WaitForNext()) {
      case Next::kDrained:
        CutOff();
        return absl::OkStatus();
      case Next::kSession:
        session = BeginSession();
        if (absl::IsOutOfRange(session)) return absl::OkStatus();
        break;
      case Next::kCommand:
        session = ServeCommand();
        break;
    }
    if (session.ok()) continue;
    session_.Reset();
    LogInfo("no agent: ", session.message(), "; what it said last holds until the next one");
  }
}

Control::Next Control::WaitForNext() const {
  while (true) {
    if (drain_until_.has_value() && IsDrained()) return Next::kDrained;
    pollfd waiting[2] = {{door_.get(), POLLIN, 0}, {session_.get(), POLLIN, 0}};
    const int timeout = drain_until_.has_value() ? static_cast<int>(kDrainCheck.count()) : -1;
    if (poll(waiting, 2, timeout) <= 0) continue;
    return waiting[0].revents != 0 ? Next::kSession : Next::kCommand;
  }
}

absl::Status Control::BeginSession() {
  ASSIGN_OR_RETURN(session_, TakeSession(door_.get()));
  internal::Event event;
  event.mutable_ready()->set_configured(!workers_.empty());
  event.mutable_ready()->set_draining(drain_until_.has_value());
  return SendEvent(event);
}

absl::Status Control::ServeCommand() {
  ASSIGN_OR_RETURN(Frame frame, ReceiveFrame(session_.get()));
  internal::Command command;
  if (!command.ParseFromString(frame.payload))
    return absl::InvalidArgumentError("the agent sent no legal command");
  if (HoldsSecrets(command)) Wipe(&frame.payload);
  internal::Event event;
  *event.mutable_done() = Handle(&command, std::move(frame.fds));
  return SendEvent(event);
}

internal::Done Control::Handle(internal::Command* command, std::vector<UniqueFd> descriptors) {
  internal::Done done;
  done.set_sequence(command->sequence());
  absl::Status status;
  switch (command->command_case()) {
    case internal::Command::kConfigure:
      status = Configure(command->configure(), std::move(descriptors));
      break;
    case internal::Command::kAddContainer:
      status = AddContainer(command->add_container(), std::move(descriptors));
      Wipe(command->mutable_add_container()->mutable_ca_private_key());
      break;
    case internal::Command::kRemoveContainer:
      status = RemoveContainer(command->remove_container().container_id());
      break;
    case internal::Command::kUpdatePolicy:
      status = UpdatePolicy(command->mutable_update_policy(), &done);
      break;
    case internal::Command::kSetSecrets:
      status = SetSecrets(command->mutable_set_secrets());
      break;
    case internal::Command::kSetIdentity:
      status = SetIdentity(command->mutable_set_identity());
      break;
    case internal::Command::kSetAuditFile:
      status = SetAuditFile(descriptors);
      break;
    case internal::Command::kSetAuditTap:
      status = SetAuditTap(std::move(descriptors));
      break;
    case internal::Command::kSetLogLevel:
      status = ChangeLogLevel(command->set_log_level().level());
      break;
    case internal::Command::kRetainContainers:
      RetainContainers(command->retain_containers(), &done);
      break;
    case internal::Command::kDrain:
      status = Drain(command->drain());
      break;
    case internal::Command::kGetUsage:
      *done.mutable_usage() = Usage();
      break;
    case internal::Command::COMMAND_NOT_SET:
      status = absl::InvalidArgumentError("an empty command");
      break;
  }
  if (!status.ok()) done.set_error(std::string(status.message()));
  LogDebug("command ", done.sequence(), " of the agent, of kind ",
           static_cast<int>(command->command_case()), ": ", status.ok() ? "done" : done.error());
  return done;
}

absl::Status Control::Configure(const internal::Configure& command,
                                std::vector<UniqueFd> descriptors) {
  if (!workers_.empty()) return absl::FailedPreconditionError("the proxy is configured already");
  if (command.workers() < 1 || command.workers() > kMaxWorkers) {
    return absl::InvalidArgumentError(
        ToAbsl(StrCat("workers must be between 1 and ", kMaxWorkers)));
  }
  for (const auto& [name, value] : command.limits()) RETURN_IF_ERROR(limits_.Set(name, value));
  auto config = std::make_shared<WorkerConfig>();
  config->resolvers.assign(command.resolvers().begin(), command.resolvers().end());
  config->roots = roots_;
  config->overload = overload_;
  for (const std::string& range : command.open_ranges()) {
    ASSIGN_OR_RETURN(Cidr cidr, Cidr::Parse(range));
    config->open_ranges.push_back(cidr);
  }
  config->handler_stats = handler_stats_;
  const size_t files = command.has_audit_file() ? 1 : 0;
  if (descriptors.size() != files + (command.has_handler_sockets() ? 1 : 0)) {
    return absl::InvalidArgumentError(
        "the descriptors of the audit file and the way to sockets do not come as announced");
  }
  if (command.has_audit_file())
    config->audit_file = std::make_shared<AuditSink>(std::move(descriptors[0]));
  audit_file_ = config->audit_file;
  config->audit_tap = audit_tap_;
  config->start_traces = command.start_traces();
  if (command.has_handler_sockets())
    config->handler_sockets = std::make_shared<SocketSource>(std::move(descriptors[files]));
  monitor_.emplace(overload_, *std::move(memory_usage_), command.max_memory_bytes());
  for (uint32_t i = 0; i < command.workers(); ++i) {
    ASSIGN_OR_RETURN(std::unique_ptr<Worker> worker, Worker::Create(config));
    if (i == 0) RETURN_IF_ERROR(worker->CheckHandlers());
    worker->Start();
    workers_.push_back(std::move(worker));
  }
  return absl::OkStatus();
}

absl::Status Control::AddContainer(const internal::AddContainer& command,
                                   std::vector<UniqueFd> descriptors) {
  if (workers_.empty()) return absl::FailedPreconditionError("the proxy is not configured yet");
  std::shared_ptr<const ProxyCredential> credential;
  if (!command.proxy_token().empty())
    credential = std::make_shared<ProxyCredential>(command.container_id(), command.proxy_token());
  const size_t sockets = credential == nullptr ? kContainerSockets : kProxySockets;
  if (descriptors.size() != sockets + (command.has_audit_stream() ? 1 : 0)) {
    return absl::InvalidArgumentError(
        "a container comes with its four sockets, an explicit proxy with one, and either with its "
        "audit stream if it has one");
  }
  std::shared_ptr<AuditSink> audit_stream;
  if (command.has_audit_stream())
    audit_stream = std::make_shared<AuditSink>(std::move(descriptors[sockets]));
  ASSIGN_OR_RETURN(const std::shared_ptr<LeafAuthority> leaves,
                   LeafAuthority::Create(command.ca_certificate(), command.ca_private_key()));
  auto budget = std::make_shared<ContainerBudget>(limits_);
  const auto dns = std::make_shared<ContainerDns>(
      DnsLimitsOf(limits_), [budget](DnsLimit limit) { budget->CountExceeded(LimitOf(limit)); });
  containers_[command.container_id()] = {command.instance(), budget};
  const auto builtin_rates = std::make_shared<BuiltinRates>();
  const auto leases = std::make_shared<LeaseTable>();
  const auto params = std::make_shared<const google::protobuf::Struct>(command.params());
  const size_t dns_worker = next_dns_worker_++ % workers_.size();
  return OnEveryWorker([&](Worker& worker, size_t index) -> absl::Status {
    ContainerSetup setup;
    setup.id = command.container_id();
    setup.leaves = leaves;
    setup.dns = dns;
    setup.budget = budget;
    setup.builtin_rates = builtin_rates;
    setup.leases = leases;
    setup.audit_stream = audit_stream;
    setup.proxy_credential = credential;
    setup.params = params;
    for (size_t i = 0; i < sockets; ++i) {
      const bool is_dns = i >= 2;
      if (is_dns && index != dns_worker) continue;
      ASSIGN_OR_RETURN(UniqueFd copy, Duplicate(descriptors[i]));
      (is_dns ? setup.dns_sockets : setup.tcp_listeners).push_back(std::move(copy));
    }
    return worker.AddContainer(std::move(setup));
  });
}

absl::Status Control::RemoveContainer(const std::string& id) {
  if (const auto found = containers_.find(id); found != containers_.end()) {
    for (const LimitInfo& info : AllLimits())
      exceeded_before_[static_cast<size_t>(info.limit)] +=
          found->second.budget->exceeded(info.limit);
    containers_.erase(found);
  }
  return OnEveryWorker([&](Worker& worker, size_t) {
    worker.RemoveContainer(id);
    return absl::OkStatus();
  });
}

void Control::RetainContainers(const internal::RetainContainers& command, internal::Done* done) {
  std::map<std::string, uint64_t> retained;
  for (const auto& one : command.containers()) retained[one.container_id()] = one.instance();
  std::vector<std::string> others;
  for (const auto& [id, held] : containers_) {
    const auto found = retained.find(id);
    if (found == retained.end() || found->second != held.instance) others.push_back(id);
  }
  // Cannot fail.
  for (const std::string& id : others) RemoveContainer(id).IgnoreError();
  for (const auto& [id, instance] : retained) {
    if (!containers_.contains(id)) done->add_missing(id);
  }
}

absl::Status Control::Drain(const internal::Drain& command) {
  if (drain_until_.has_value()) return absl::OkStatus();
  drain_until_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(command.limit_ms());
  return OnEveryWorker([](Worker& worker, size_t) {
    worker.Drain();
    return absl::OkStatus();
  });
}

bool Control::IsDrained() const {
  if (std::chrono::steady_clock::now() >= *drain_until_) return true;
  return overload_->connections() == 0 && IsDnsDrained();
}

bool Control::IsDnsDrained() const {
  // An error stands for "not yet".
  return OnEveryWorker([](Worker& worker, size_t) {
           return worker.dns_is_drained() ? absl::OkStatus() : absl::UnavailableError("");
         })
      .ok();
}

// Resets what is left, so that no answer that is cut off looks like a whole one.
void Control::CutOff() {
  while (!containers_.empty()) {
    const std::string id = containers_.begin()->first;
    // Cannot fail.
    RemoveContainer(id).IgnoreError();
  }
}

absl::Status Control::UpdatePolicy(internal::UpdatePolicy* command, internal::Done* done) {
  v1::Delta delta;
  delta.set_revision(command->revision());
  delta.set_reset(command->reset());
  *delta.mutable_updated() = command->updated();
  *delta.mutable_removed() = command->removed();
  SnapshotBuilder::Applied applied = builder_.Apply(delta);
  for (v1::Ack::Rejected& rejected : applied.rejected) *done->add_rejected() = std::move(rejected);
  std::shared_ptr<const SecretTable> secrets;
  if (command->has_secrets()) secrets = SecretTable::Take(command->mutable_secrets());
  if (command->more()) {
    if (secrets == nullptr) return absl::OkStatus();
    return OnEveryWorker([&](Worker& worker, size_t) {
      worker.SwapSecrets(secrets);
      return absl::OkStatus();
    });
  }
  const auto& handlers = applied.snapshot->handlers;
  handler_stats_->Keep([&](const std::string& handler, const std::string& endpoint) {
    const auto found = handlers.find(handler);
    if (found == handlers.end()) return false;
    const HandlerSpec& spec = *found->second;
    return std::ranges::find(spec.draining, endpoint) != spec.draining.end() ||
           std::ranges::any_of(spec.endpoints,
                               [&](const HandlerEndpoint& one) { return one.text == endpoint; });
  });
  return OnEveryWorker([&](Worker& worker, size_t) {
    if (secrets != nullptr) worker.SwapSecrets(secrets);
    worker.SwapSnapshot(applied.snapshot);
    return absl::OkStatus();
  });
}

absl::Status Control::SetSecrets(internal::SecretValues* secrets) {
  const std::shared_ptr<const SecretTable> table = SecretTable::Take(secrets);
  return OnEveryWorker([&](Worker& worker, size_t) {
    worker.SwapSecrets(table);
    return absl::OkStatus();
  });
}

absl::Status Control::SetIdentity(internal::Identity* identity) {
  if (workers_.empty()) return absl::FailedPreconditionError("the proxy is not configured yet");
  absl::Status usable;
  identity_ = HandlerIdentity::Take(identity, *identity_, &usable);
  return OnEveryWorker([&](Worker& worker, size_t) {
    worker.SwapIdentity(identity_);
    return usable;
  });
}

v1::UsageResponse Control::Usage() const {
  v1::UsageResponse usage;
  AddContainers(&usage);
  AddProxy(&usage);
  AddClasses(&usage);
  handler_stats_->FillIn(&usage);
  return usage;
}

absl::Status Control::SetAuditFile(const std::vector<UniqueFd>& descriptors) {
  if (audit_file_ == nullptr || descriptors.size() != 1)
    return absl::InvalidArgumentError("one descriptor takes the place of one");
  return audit_file_->Replace(descriptors[0]);
}

absl::Status Control::SetAuditTap(std::vector<UniqueFd> descriptors) {
  if (descriptors.size() > 1)
    return absl::InvalidArgumentError("a tap has one descriptor, or none to be closed");
  descriptors.empty() ? audit_tap_->Close() : audit_tap_->Open(std::move(descriptors[0]));
  return absl::OkStatus();
}

void Control::AddContainers(v1::UsageResponse* usage) const {
  std::array<uint64_t, kLimitCount> exceeded_ever = exceeded_before_;
  for (const auto& [id, held] : containers_) {
    const ContainerBudget* const budget = held.budget.get();
    v1::UsageResponse::Container* const container = usage->add_containers();
    container->set_container_id(id);
    for (const LimitInfo& info : AllLimits()) {
      const int64_t used = budget->held(info.limit);
      const uint64_t exceeded = budget->exceeded(info.limit);
      exceeded_ever[static_cast<size_t>(info.limit)] += exceeded;
      if (used == 0 && exceeded == 0) continue;
      v1::UsageResponse::Limit* const limit = container->add_limits();
      limit->set_name(std::string(info.name));
      limit->set_limit(budget->limits()[info.limit]);
      limit->set_used(used);
      limit->set_exceeded(exceeded);
    }
  }
  for (const LimitInfo& info : AllLimits()) {
    const uint64_t times = exceeded_ever[static_cast<size_t>(info.limit)];
    if (times == 0) continue;
    v1::UsageResponse::Exceeded* const exceeded = usage->add_exceeded();
    exceeded->set_limit(std::string(info.name));
    exceeded->set_count(times);
  }
}

void Control::AddProxy(v1::UsageResponse* usage) const {
  v1::UsageResponse::Proxy& proxy = *usage->mutable_proxy();
  proxy.set_connections(overload_->connections());
  proxy.set_max_connections(overload_->max_connections());
  proxy.set_memory_bytes(overload_->memory_used());
  proxy.set_max_memory_bytes(overload_->memory_limit());
  proxy.set_shedding(std::string(SheddingName(overload_->shedding())));
  proxy.set_refused_requests(overload_->refused_requests());
  proxy.set_accept_pauses(overload_->accept_pauses());
  if (audit_file_ != nullptr) proxy.set_lost_audit_records(audit_file_->lost());
}

void Control::AddClasses(v1::UsageResponse* usage) const {
  ClassStats::ByClass totals;
  for (const std::unique_ptr<Worker>& worker : workers_) worker->class_stats().AddTo(&totals);
  FillIn(totals, usage);
}

absl::Status Control::OnEveryWorker(
    absl::FunctionRef<absl::Status(Worker& worker, size_t index)> work) const {
  Mutex mutex;
  CondVar finished;
  size_t left = workers_.size();
  absl::Status first_error;
  for (size_t i = 0; i < workers_.size(); ++i) {
    workers_[i]->Post([&, i] {
      const absl::Status status = work(*workers_[i], i);
      MutexLock lock(&mutex);
      if (!status.ok() && first_error.ok()) first_error = status;
      --left;
      finished.Signal();
    });
  }
  MutexLock lock(&mutex);
  while (left > 0) finished.Wait(&mutex);
  return first_error;
}

}  // namespace sallyport::proxy
