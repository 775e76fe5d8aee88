#include "agent/containers.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/attach/ca.h"
#include "agent/attach/capabilities.h"
#include "agent/attach/explicit_proxy.h"
#include "agent/attach/routed_link.h"
#include "agent/audit_file.h"
#include "agent/keep/parcel.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/policy/effective_policy.h"
#include "common/policy/validate.h"

namespace sallyport::agent {
namespace {

// For the proxy to take a container; it may have to be started first.
constexpr std::chrono::seconds kServeDeadline{10};
// For a container that leaves to be gone; it takes milliseconds.
constexpr std::chrono::seconds kLeaveDeadline{2};
// Of any serial.
constexpr uint64_t kAnySerial = 0;
// What the next agent is to find of a container has to fit a parcel, with its CA and the rest.
constexpr size_t kMaxParamsBytes = kMaxParcelBytes / 4;

UniqueFd Duplicate(const UniqueFd& fd) {
  return UniqueFd(fd.valid() ? fcntl(fd.get(), F_DUPFD_CLOEXEC, 0) : -1);
}

absl::Status NotAttached(const std::string& container_id) {
  return absl::NotFoundError(absl::StrCat("container ", container_id, " is not attached"));
}

}  // namespace

Containers::Containers(RunDirectory* run_directory, HostRules* rules, ProxySupervisor* supervisor,
                       SyncClient* sync, const FdStore* store, std::vector<KeptContainer> kept)
    : run_directory_(run_directory),
      rules_(rules),
      supervisor_(supervisor),
      sync_(sync),
      store_(store),
      link_watcher_(std::in_place, rules,
                    [this](uint64_t serial, const LinkWatcher::Outcome& outcome) {
                      OnLaterLink(serial, outcome);
                    }),
      watcher_(std::in_place, [this](uint64_t serial) { OnProcessEnd(serial); }) {
  for (KeptContainer& one : kept) TakeOver(std::move(one));
}

void Containers::TakeOver(KeptContainer kept) {
  const std::string& id = kept.served->id;
  LogInfo("container ", id, " of class ", kept.class_name, " is attached still");
  MutexLock lock(&mutex_);
  Attachment& attachment = attachments_[id];
  attachment.stage = Stage::kHere;
  attachment.serial = ++last_serial_;
  attachment.kept_as = kept.kept_as;
  kept_names_.NoteTaken(kept.kept_as);
  attachment.network = kept.network;
  if (!kept.served->proxy_token.empty())
    attachment.proxy_address = ProxyAddress(kept.served->sockets.tcp_v4);
  attachment.class_name = kept.class_name;
  attachment.pid = kept.pid;
  attachment.process = std::move(kept.process);
  attachment.ephemeral = kept.ephemeral;
  const bool has_network = kept.served->proxy_token.empty();
  const absl::Status links =
      has_network ? WatchLinks(kept.served->sockets, attachment.serial) : absl::OkStatus();
  if (!links.ok()) {
    LogError("container ", id, ": ", links.message(), "; detach it and attach it again");
  }
  if (!attachment.process.valid()) return;
  const absl::Status watched = watcher_->Watch(attachment.process, attachment.serial);
  if (!watched.ok()) LogError("container ", id, ": ", watched.message(), "; detach it by hand");
}

Containers::~Containers() { Close(); }

absl::StatusOr<AttachOutcome> Containers::Attach(const AttachOrder& order) {
  RETURN_IF_ERROR(Check(order));
  ASSIGN_OR_RETURN(Target target, Find(order));
  ASSIGN_OR_RETURN(const uint64_t serial, Reserve(order, target));
  absl::StatusOr<Served> served = Serve(order, target);
  if (!served.ok()) {
    Release(order.container_id);
    return served.status();
  }
  RETURN_IF_ERROR(Settle(order, std::move(target), std::move(served->link_events), serial));
  ASSIGN_OR_RETURN(Enforcement enforcement, AwaitPolicy(order, serial));
  return AttachOutcome{std::move(served->ca_certificate_pem), std::move(enforcement),
                       std::move(served->proxy_url)};
}

absl::Status Containers::Check(const AttachOrder& order) {
  RETURN_IF_ERROR(ValidateContainerId(order.container_id));
  RETURN_IF_ERROR(ValidateName("class_name", order.class_name));
  if (order.wait.count() < 0) return absl::InvalidArgumentError("wait: must not be negative");
  RETURN_IF_ERROR(ValidateParams("params", order.params));
  if (order.params.ByteSizeLong() > kMaxParamsBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("params: are more than ", kMaxParamsBytes / 1024,
                     " KiB; keep large values in the handler, by the container's id"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Containers::Target> Containers::Find(const AttachOrder& order) {
  pid_t pid = 0;
  UniqueFd process;
  const bool by_process = std::holds_alternative<pid_t>(order.where);
  if (by_process) pid = std::get<pid_t>(order.where);
  if (by_process && (pid != 0 || !order.proxy_address.has_value())) {
    ASSIGN_OR_RETURN(process, OpenProcess(pid));
  }
  if (order.proxy_address.has_value()) return Target{pid, std::move(process), std::nullopt};
  ASSIGN_OR_RETURN(const NetworkNamespace own, NetworkNamespace::Own());
  ASSIGN_OR_RETURN(NetworkNamespace network,
                   process.valid() ? NetworkNamespace::OfProcess(pid, process)
                                   : NetworkNamespace::OfPath(std::get<std::string>(order.where)));
  if (network.id() == own.id()) {
    return absl::FailedPreconditionError(
        "that is the host's own network namespace; a container needs one of its own");
  }
  return Target{pid, std::move(process), std::move(network)};
}

bool Containers::IsLeaving(const Attachment& attachment) {
  return attachment.stage == Stage::kGoing ||
         (attachment.process.valid() && HasEnded(attachment.process));
}

Containers::Attachments::const_iterator Containers::InTheWay(const AttachOrder& order,
                                                             const Target& target) const {
  const auto of_id = attachments_.find(order.container_id);
  if (of_id != attachments_.end()) return of_id;
  if (!target.network.has_value()) return attachments_.end();
  return std::find_if(attachments_.begin(), attachments_.end(), [&target](const auto& one) {
    return one.second.network == target.network->id();
  });
}

absl::StatusOr<uint64_t> Containers::Reserve(const AttachOrder& order, const Target& target) {
  const Clock::time_point deadline = Clock::now() + kLeaveDeadline;
  MutexLock lock(&mutex_);
  for (auto other = InTheWay(order, target); other != attachments_.end();
       other = InTheWay(order, target)) {
    if (IsLeaving(other->second) && released_.WaitUntil(&mutex_, deadline)) continue;
    return absl::AlreadyExistsError(
        other->first == order.container_id
            ? absl::StrCat("container ", order.container_id, " is attached already")
            : absl::StrCat("the network namespace is attached already, as container ",
                           other->first));
  }
  std::string kept_as;
  if (store_->exists()) {
    ASSIGN_OR_RETURN(kept_as, kept_names_.Take());
  }
  Attachment& attachment = attachments_[order.container_id];
  attachment.kept_as = std::move(kept_as);
  attachment.serial = ++last_serial_;
  attachment.network = target.network_id();
  attachment.class_name = order.class_name;
  attachment.pid = target.pid;
  attachment.ephemeral = order.ephemeral;
  return attachment.serial;
}

void Containers::Release(const std::string& container_id) {
  run_directory_->Destroy(container_id);
  MutexLock lock(&mutex_);
  const auto found = attachments_.find(container_id);
  kept_names_.GiveBack(found->second.kept_as);
  attachments_.erase(found);
  released_.SignalAll();
}

absl::StatusOr<Redirected> Containers::Redirect(const AttachOrder& order,
                                                const NetworkNamespace& network) {
  if (!order.routed) return RedirectNamespace(network);
  ASSIGN_OR_RETURN(const NetworkNamespace host, NetworkNamespace::Own());
  ASSIGN_OR_RETURN(std::vector<RoutedLink> found, FindRoutedLinks(network, host));
  ASSIGN_OR_RETURN(const std::vector<RoutedLink> held, rules_->Hold(std::move(found)));
  return RedirectRoutedNamespace(network, AddressesOf(held));
}

absl::StatusOr<Containers::Served> Containers::Serve(const AttachOrder& order,
                                                     const Target& target) {
  auto container = std::make_shared<ProxyContainer>();
  container->id = order.container_id;
  container->instance = NewInstance();
  container->params = order.params;
  if (!order.audit_path.empty()) {
    ASSIGN_OR_RETURN(container->audit_stream, OpenAuditFile("audit_path", order.audit_path));
  }
  Served served;
  std::string proxy_address;
  if (target.network.has_value()) {
    ASSIGN_OR_RETURN(Redirected redirected, Redirect(order, *target.network));
    container->sockets = std::move(redirected.sockets);
    served.link_events = std::move(redirected.link_events);
  } else {
    ASSIGN_OR_RETURN(container->sockets.tcp_v4, OpenProxyListener(*order.proxy_address));
    container->proxy_token = NewProxyToken();
    proxy_address = ProxyAddress(container->sockets.tcp_v4);
    served.proxy_url = ProxyUrl(order.container_id, container->proxy_token, proxy_address);
  }
  ASSIGN_OR_RETURN(container->ca,
                   MakeCertificateAuthority(order.container_id, std::chrono::system_clock::now()));
  RETURN_IF_ERROR(run_directory_->Store(order.container_id, container->ca));
  RETURN_IF_ERROR(supervisor_->AddContainer(container, Clock::now() + kServeDeadline));
  std::string kept_as;
  {
    MutexLock lock(&mutex_);
    Attachment& attachment = attachments_[order.container_id];
    attachment.proxy_address = std::move(proxy_address);
    kept_as = attachment.kept_as;
  }
  KeptContainer kept{std::move(kept_as),  container,  order.class_name,
                     target.network_id(), target.pid, Duplicate(target.process),
                     order.ephemeral};
  if (const absl::Status status = KeepContainer(*store_, kept); !status.ok()) {
    LogWarning("container ", order.container_id,
               " loses its way out when this agent ends: ", status.message());
  }
  served.ca_certificate_pem = container->ca.certificate_pem;
  return served;
}

absl::Status Containers::WatchLinks(const ContainerSockets& sockets, uint64_t serial) {
  ASSIGN_OR_RETURN(const NetworkNamespace inside, NetworkNamespace::OfSocket(sockets.tcp_v4));
  UniqueFd events;
  RETURN_IF_ERROR(inside.Run([&]() -> absl::Status {
    ASSIGN_OR_RETURN(events, OpenLinkEvents());
    return absl::OkStatus();
  }));
  return link_watcher_->Watch(std::move(events), serial);
}

absl::Status Containers::Settle(const AttachOrder& order, Target target,
                                std::optional<UniqueFd> link_events, uint64_t serial) {
  LogInfo("container ", order.container_id, " of class ", order.class_name, " is attached");
  sync_->Attached(order.container_id, order.class_name, order.ephemeral);
  absl::Status watched;
  {
    MutexLock lock(&mutex_);
    Attachment& attachment = attachments_[order.container_id];
    attachment.stage = Stage::kHere;
    attachment.process = std::move(target.process);
    if (link_events.has_value()) watched = link_watcher_->Watch(*std::move(link_events), serial);
    if (watched.ok() && attachment.process.valid())
      watched = watcher_->Watch(attachment.process, serial);
  }
  if (!watched.ok()) DetachSerial(order.container_id, serial).IgnoreError();
  return watched;
}

absl::StatusOr<Enforcement> Containers::AwaitPolicy(const AttachOrder& order, uint64_t serial) {
  Enforcement enforcement = sync_->WaitEnforced(order.container_id, Clock::now() + order.wait);
  switch (enforcement.kind) {
    case Enforcement::Kind::kEnforced:
    case Enforcement::Kind::kPending:
      break;
    case Enforcement::Kind::kRefused:
      DetachSerial(order.container_id, serial).IgnoreError();
      return absl::NotFoundError(enforcement.reason);
    case Enforcement::Kind::kGone:
      return absl::AbortedError(absl::StrCat("container ", order.container_id,
                                             " was detached, or its process ended, meanwhile"));
  }
  return enforcement;
}

absl::Status Containers::Detach(const std::string& container_id) {
  return DetachSerial(container_id, kAnySerial);
}

absl::Status Containers::AwaitDetached(const std::string& container_id) {
  const Clock::time_point deadline = Clock::now() + kLeaveDeadline;
  MutexLock lock(&mutex_);
  auto found = attachments_.find(container_id);
  if (found == attachments_.end()) return NotAttached(container_id);
  for (; found != attachments_.end(); found = attachments_.find(container_id)) {
    if (!IsLeaving(found->second)) {
      return absl::FailedPreconditionError(absl::StrCat("container ", container_id, " still runs"));
    }
    if (!released_.WaitUntil(&mutex_, deadline)) {
      return absl::DeadlineExceededError(
          absl::StrCat("container ", container_id, " is still being detached"));
    }
  }
  return absl::OkStatus();
}

absl::Status Containers::DetachSerial(const std::string& container_id, uint64_t serial) {
  bool ephemeral = false;
  std::string kept_as;
  uint64_t watched = 0;
  {
    MutexLock lock(&mutex_);
    const auto found = attachments_.find(container_id);
    if (found == attachments_.end() || found->second.stage == Stage::kGoing ||
        (serial != kAnySerial && found->second.serial != serial)) {
      return NotAttached(container_id);
    }
    if (found->second.stage == Stage::kComing) {
      return absl::FailedPreconditionError(
          absl::StrCat("container ", container_id, " is just being attached; try again"));
    }
    found->second.stage = Stage::kGoing;
    found->second.process.Reset();
    ephemeral = found->second.ephemeral;
    kept_as = found->second.kept_as;
    watched = found->second.serial;
  }
  if (link_watcher_.has_value()) link_watcher_->Forget(watched);
  // First: an agent that is started anew in between finds it in the proxy only, and removes it.
  store_->Forget(kept_as);
  // The id is free again when nothing of the container is left.
  supervisor_->RemoveContainer(container_id);
  if (ephemeral) supervisor_->ForgetPolicy(container_id);
  sync_->Detached(container_id, ephemeral);
  Release(container_id);
  LogInfo("container ", container_id, " is detached");
  return absl::OkStatus();
}

void Containers::Close() {
  // Waits for what it may be detaching.
  watcher_.reset();
  link_watcher_.reset();
  for (const Listed& one : List()) Detach(one.container_id).IgnoreError();
}

std::vector<Containers::Listed> Containers::List() const {
  std::vector<Listed> list;
  {
    MutexLock lock(&mutex_);
    for (const auto& [id, attachment] : attachments_) {
      if (attachment.stage == Stage::kHere)
        list.push_back({id, attachment.class_name, attachment.pid, attachment.proxy_address});
    }
  }
  for (Listed& one : list) {
    one.enforced_revision = sync_->WaitEnforced(one.container_id, Clock::now()).revision;
  }
  return list;
}

void Containers::OnProcessEnd(uint64_t serial) {
  std::string container_id;
  {
    MutexLock lock(&mutex_);
    for (const auto& [id, attachment] : attachments_) {
      if (attachment.serial == serial) container_id = id;
    }
  }
  if (!container_id.empty()) DetachSerial(container_id, serial).IgnoreError();
}

void Containers::OnLaterLink(uint64_t serial, const LinkWatcher::Outcome& outcome) {
  MutexLock lock(&mutex_);
  const auto found = std::ranges::find_if(
      attachments_, [serial](const auto& one) { return one.second.serial == serial; });
  const std::string id = found == attachments_.end() ? "(gone)" : found->first;
  if (outcome.removed.ok()) {
    ++links_removed_;
    LogError("container ", id, " was given an interface after it was attached, ",
             Quote(outcome.link), ": removed, since it would be another way out");
    // Its namespace has a number for the host's since then.
    const bool reaches_host = found != attachments_.end() && found->second.process.valid() &&
                              MayAdministerNetworks(found->second.pid).value_or(true);
    if (reaches_host) {
      LogError("container ", id,
               " may have CAP_NET_ADMIN, and so could reach the host's network by "
               "what it has seen of it");
    }
    if (!outcome.too_many && !reaches_host) return;
  } else {
    LogError("container ", id, " was given an interface after it was attached, ",
             Quote(outcome.link), ", which cannot be removed: ", outcome.removed.message());
  }
  if (found == attachments_.end()) return;
  const UniqueFd& process = found->second.process;
  if (!process.valid()) {
    LogError("container ", id, " has no process that could be ended; end what runs in it");
    return;
  }
  if (syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0) == 0) {
    ++containers_ended_;
    LogError("container ", id, " is ended");
  }
}

}  // namespace sallyport::agent
