#include "agent/containers.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "agent/attach/ca.h"
#include "agent/attach/redirect.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/policy/effective_policy.h"

namespace sallyport::agent {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kProxyTime{10};
constexpr std::chrono::milliseconds kDefaultWait{5'000};
constexpr std::chrono::milliseconds kLongestWait{60'000};

std::chrono::milliseconds WaitOf(const v1::AttachRequest& request) {
  if (!request.has_wait()) return kDefaultWait;
  const std::chrono::milliseconds wait(request.wait().seconds() * 1000 +
                                       request.wait().nanos() / 1'000'000);
  return std::clamp(wait, std::chrono::milliseconds(0), kLongestWait);
}

// Never waits for a reader: what a FIFO does not take is lost, and counted by the proxy.
absl::StatusOr<UniqueFd> OpenAuditStream(const std::string& path) {
  if (path.empty()) return UniqueFd();
  UniqueFd file(
      open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600));
  if (!file.valid()) {
    return absl::InvalidArgumentError(
        ToAbsl(StrCat("audit_path: cannot open ", path, ": ", strerror(errno))));
  }
  return file;
}

}  // namespace

Containers::Containers(NetworkNamespace own, RunDirectory* run_directory,
                       ProxySupervisor* supervisor, SyncClient* sync)
    : own_(std::move(own)), run_directory_(run_directory), supervisor_(supervisor), sync_(sync) {}

Containers::~Containers() { DetachAll(); }

absl::StatusOr<v1::AttachResponse> Containers::Attach(const v1::AttachRequest& request) {
  const std::string& id = request.container_id();
  RETURN_IF_ERROR(ValidateContainerId(id));
  RETURN_IF_ERROR(ValidateName("class_name", request.class_name()));
  UniqueFd process;
  absl::StatusOr<NetworkNamespace> network = absl::InvalidArgumentError(
      "give the namespace: pid, a process in it, or netns_path, its path");
  if (request.has_pid()) {
    ASSIGN_OR_RETURN(process, OpenProcess(request.pid()));
    network = NetworkNamespace::OfProcess(request.pid(), process);
  } else if (request.has_netns_path()) {
    network = NetworkNamespace::OfPath(request.netns_path());
  }
  if (!network.ok()) return network.status();
  RETURN_IF_ERROR(Reserve(request, *network));
  absl::StatusOr<std::string> certificate = Set(request, *network);
  if (!certificate.ok()) {
    Release(id);
    return certificate.status();
  }
  sync_->Attached(id, request.class_name());
  {
    MutexLock lock(&mutex_);
    Attached& attached = attached_[id];
    attached.ready = true;
    if (process.valid()) {
      attached.watch =
          std::make_unique<ProcessWatch>(std::move(process), [this, id] { (void)Detach(id); });
    }
  }

  const Enforcement enforcement = sync_->WaitEnforced(id, Clock::now() + WaitOf(request));
  if (enforcement.kind == Enforcement::Kind::kRefused) {
    (void)Detach(id);
    return absl::NotFoundError(ToAbsl(enforcement.reason));
  }
  v1::AttachResponse response;
  response.set_ca_certificate_pem(*certificate);
  response.set_policy_enforced(enforcement.kind == Enforcement::Kind::kEnforced);
  response.set_pending(enforcement.reason);
  response.set_revision(enforcement.revision);
  LogInfo("container ", id, " of class ", request.class_name(), " is attached");
  return response;
}

absl::Status Containers::Reserve(const v1::AttachRequest& request,
                                 const NetworkNamespace& network) {
  if (network.id() == own_.id()) {
    return absl::FailedPreconditionError(
        "that is the host's own network namespace; the container needs one of its own");
  }
  MutexLock lock(&mutex_);
  if (closed_) return absl::UnavailableError("the agent is stopping");
  for (const auto& [id, attached] : attached_) {
    if (id == request.container_id())
      return absl::AlreadyExistsError(ToAbsl(StrCat("the container ", id, " is attached already")));
    if (attached.network == network.id()) {
      return absl::AlreadyExistsError(
          ToAbsl(StrCat("that namespace is attached already, as ", id)));
    }
  }
  Attached& attached = attached_[request.container_id()];
  attached.class_name = request.class_name();
  attached.pid = request.pid();
  attached.network = network.id();
  attached.ephemeral = request.ephemeral();
  return absl::OkStatus();
}

absl::StatusOr<std::string> Containers::Set(const v1::AttachRequest& request,
                                            const NetworkNamespace& network) {
  auto container = std::make_shared<ProxyContainer>();
  container->id = request.container_id();
  ASSIGN_OR_RETURN(container->audit_stream, OpenAuditStream(request.audit_path()));
  ASSIGN_OR_RETURN(container->sockets, RedirectNamespace(network));
  ASSIGN_OR_RETURN(container->ca,
                   MakeCertificateAuthority(container->id, std::chrono::system_clock::now()));
  std::string certificate = container->ca.certificate_pem;
  RETURN_IF_ERROR(run_directory_->Store(container->id, container->ca));
  RETURN_IF_ERROR(supervisor_->AddContainer(std::move(container), Clock::now() + kProxyTime));
  return certificate;
}

void Containers::Release(const std::string& id) {
  supervisor_->RemoveContainer(id);
  run_directory_->Destroy(id);
  // Ended outside the lock: a watch that fires meanwhile wants it.
  std::unique_ptr<ProcessWatch> watch;
  MutexLock lock(&mutex_);
  const auto found = attached_.find(id);
  if (found == attached_.end()) return;
  watch = std::move(found->second.watch);
  attached_.erase(found);
  gone_.SignalAll();
}

absl::Status Containers::Detach(const std::string& id) {
  bool ephemeral = false;
  std::unique_ptr<ProcessWatch> watch;
  {
    MutexLock lock(&mutex_);
    const auto found = attached_.find(id);
    if (found == attached_.end() || !found->second.ready) {
      return absl::NotFoundError(ToAbsl(StrCat("no container ", id, " is attached here")));
    }
    // Nobody else detaches it, and its id stays taken until everything of it is gone.
    found->second.ready = false;
    ephemeral = found->second.ephemeral;
    watch = std::move(found->second.watch);
  }
  sync_->Detached(id, ephemeral);
  Release(id);
  LogInfo("container ", id, " is detached");
  return absl::OkStatus();
}

std::vector<v1::ListAttachedResponse::Container> Containers::List() const {
  std::vector<v1::ListAttachedResponse::Container> list;
  MutexLock lock(&mutex_);
  for (const auto& [id, attached] : attached_) {
    if (!attached.ready) continue;
    v1::ListAttachedResponse::Container& container = list.emplace_back();
    container.set_container_id(id);
    container.set_class_name(attached.class_name);
    container.set_pid(attached.pid);
    container.set_enforced_revision(sync_->WaitEnforced(id, Clock::now()).revision);
  }
  return list;
}

void Containers::DetachAll() {
  std::vector<std::string> ids;
  {
    MutexLock lock(&mutex_);
    closed_ = true;
    for (const auto& [id, attached] : attached_) ids.push_back(id);
  }
  for (const std::string& id : ids) (void)Detach(id);
  // What others are detaching, or attaching, right now.
  const Clock::time_point deadline = Clock::now() + kProxyTime;
  MutexLock lock(&mutex_);
  while (!attached_.empty() && gone_.WaitUntil(&mutex_, deadline)) {
  }
}

}  // namespace sallyport::agent
