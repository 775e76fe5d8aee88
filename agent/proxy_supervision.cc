// ProxySupervisor's thread: which proxy serves, which drain, and how each comes and goes.

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/proxy_supervisor.h"
#include "common/base/log.h"
#include "common/base/status.h"

namespace sallyport::agent {
namespace {

using std::chrono::milliseconds;

// A proxy that lived this long did not die of how it was started.
constexpr std::chrono::seconds kHealthyLife{10};

bool HasEnded(const RunningProxy& proxy) {
  pollfd ended{proxy.handle(), POLLIN, 0};
  return poll(&ended, 1, 0) > 0;
}

}  // namespace

void ProxySupervisor::Run() {
  TakeOver();
  while (!stopping()) {
    Clock::time_point look_again = Clock::time_point::max();
    if (!NeedsAnother(&look_again)) {
      WatchUntil(look_again);
    } else if (Clock::now() >= next_start_) {
      StartNext();
    } else {
      WatchUntil(next_start_);
    }
    BuryTheDead();
  }
  BuryAll();
}

void ProxySupervisor::TakeOver() {
  std::vector<FoundProxy> found;
  {
    MutexLock call(&call_mutex_);
    found.swap(found_);
    for (const FoundProxy& one : found) last_serial_ = std::max(last_serial_, one.serial);
  }
  std::sort(found.begin(), found.end(),
            [](const FoundProxy& a, const FoundProxy& b) { return a.serial > b.serial; });
  for (FoundProxy& one : found) TakeOverOne(std::move(one));
}

void ProxySupervisor::TakeOverOne(FoundProxy found) {
  const std::string kept_as = found.kept_as;
  const pid_t pid = found.pid;
  const bool other_build = found.build != build_;
  absl::StatusOr<ProxyPtr> opened =
      RunningProxy::Find(std::move(found), options_.program,
                         [this](const std::string& path) { return MayConnect(path); });
  if (!opened.ok()) {
    LogWarning("the proxy ", pid, " ended while no agent ran");
    store_->Forget(kept_as);
    return;
  }
  ProxyPtr proxy = *std::move(opened);
  Enlist(proxy.get());
  const absl::StatusOr<internal::Ready> ready = proxy->WaitReady();
  absl::Status status = ready.status();
  if (status.ok()) {
    MutexLock call(&call_mutex_);
    status = Resume(proxy.get(), *ready);
    if (status.ok() && serving_ == nullptr && !ready->draining()) {
      if (other_build) replace_by_ = Clock::now() + options_.replace_limit;
      Serve(std::move(proxy));
      LogInfo("the proxy runs on as process ", pid);
    } else if (status.ok()) {
      BeginDrain(std::move(proxy));
    }
  }
  if (status.ok()) return;
  LogWarning("the proxy ", pid, " cannot be taken over: ", status.message());
  Bury(std::move(proxy));
}

bool ProxySupervisor::NeedsAnother(Clock::time_point* look_again) {
  MutexLock call(&call_mutex_);
  if (serving_ == nullptr || asked_ > carried_out_) return true;
  if (!replace_by_.has_value()) return false;
  *look_again = *replace_by_;
  return KnowsEnoughToReplace() || Clock::now() >= *replace_by_;
}

// The one that serves may know from a former agent what this one has yet to hear from the control
// plane.
bool ProxySupervisor::KnowsEnoughToReplace() const {
  return !secrets_unheard_ && !identity_.issuer().empty();
}

void ProxySupervisor::StartNext() {
  started_ = Clock::now();
  uint64_t serial = 0;
  uint64_t asked = 0;
  {
    MutexLock call(&call_mutex_);
    serial = ++last_serial_;
    asked = asked_;
  }
  absl::StatusOr<ProxyPtr> next = RunningProxy::Start(
      options_.program, serial, [this](const std::string& path) { return MayConnect(path); });
  absl::Status status = next.status();
  if (next.ok()) {
    Enlist(next->get());
    status = PutInPlace(&*next);
    // How it ended says more than that it does not answer.
    if (!status.ok()) {
      const std::string end = Bury(*std::move(next));
      status = absl::UnavailableError(absl::StrCat(end, " (", status.message(), ")"));
    }
  }
  bool still_served = false;
  {
    MutexLock call(&call_mutex_);
    carried_out_ = asked;
    outcome_ = status;
    replace_by_.reset();
    still_served = serving_ != nullptr;
    proxies_changed_.SignalAll();
  }
  if (status.ok() || stopping()) return;
  if (still_served) {
    LogError("the proxy cannot be replaced, and goes on: ", status.message());
  } else {
    NoteEnd(std::string(status.message()));
  }
}

absl::Status ProxySupervisor::PutInPlace(ProxyPtr* next) {
  RETURN_IF_ERROR((*next)->WaitReady().status());
  MutexLock call(&call_mutex_);
  RETURN_IF_ERROR(Replay(next->get()));
  if (const absl::Status kept = (*next)->KeepIn(*store_, build_); !kept.ok())
    LogWarning("the proxy will end with this agent: ", kept.message());
  LogInfo("the proxy runs as process ", (*next)->pid());
  ProxyPtr before = std::move(serving_);
  Serve(std::move(*next));
  // Both have accepted for a moment, each what it serves.
  if (before == nullptr) return absl::OkStatus();
  BeginDrain(std::move(before));
  MutexLock lock(&state_mutex_);
  ++state_.restarts;
  return absl::OkStatus();
}

void ProxySupervisor::Serve(ProxyPtr proxy) {
  serving_ = std::move(proxy);
  proxies_changed_.SignalAll();
  MutexLock lock(&state_mutex_);
  state_.pid = serving_->pid();
}

void ProxySupervisor::BeginDrain(ProxyPtr proxy) {
  internal::Command command;
  command.mutable_drain()->set_limit_ms(options_.drain_limit.count());
  // One that fails is dead, and found to be.
  proxy->Call(command, {}).status().IgnoreError();
  draining_.push_back(std::move(proxy));
  MutexLock lock(&state_mutex_);
  state_.draining = draining_.size();
}

void ProxySupervisor::NoteEnd(const std::string& how) {
  if (Clock::now() - started_ > kHealthyLife) pause_ = milliseconds(0);
  LogError("the proxy ended: ", how,
           pause_.count() == 0 ? std::string("; starting it anew")
                               : absl::StrCat("; starting it anew in ", pause_.count(), " ms"));
  next_start_ = Clock::now() + pause_;
  pause_ = std::min(std::max(pause_ * 2, options_.first_pause), options_.longest_pause);
  MutexLock lock(&state_mutex_);
  state_.last_end = how;
  state_.pid = 0;
  ++state_.restarts;
}

void ProxySupervisor::WatchUntil(Clock::time_point deadline) {
  std::vector<pollfd> watched = {{wake_.get(), POLLIN, 0}};
  {
    MutexLock lock(&state_mutex_);
    for (const RunningProxy* proxy : running_) watched.push_back({proxy->handle(), POLLIN, 0});
  }
  int timeout = -1;
  if (deadline != Clock::time_point::max()) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    timeout = static_cast<int>(std::max<int64_t>(left.count(), 0));
  }
  poll(watched.data(), watched.size(), timeout);
  uint64_t times;
  // Whoever has woken it has said why before.
  if (watched[0].revents != 0 && read(wake_.get(), &times, sizeof(times)) < 0) return;
}

void ProxySupervisor::BuryTheDead() {
  ProxyPtr served;
  std::vector<ProxyPtr> drained;
  {
    MutexLock call(&call_mutex_);
    if (serving_ != nullptr && HasEnded(*serving_)) served = std::move(serving_);
    for (ProxyPtr& proxy : draining_) {
      if (HasEnded(*proxy)) drained.push_back(std::move(proxy));
    }
    std::erase(draining_, nullptr);
    MutexLock lock(&state_mutex_);
    state_.draining = draining_.size();
  }
  for (ProxyPtr& proxy : drained) {
    const pid_t pid = proxy->pid();
    LogInfo("the proxy ", pid, " has drained: ", Bury(std::move(proxy)));
  }
  if (served == nullptr) return;
  const std::string end = Bury(std::move(served));
  if (!stopping()) NoteEnd(end);
}

std::string ProxySupervisor::Bury(ProxyPtr proxy) {
  {
    MutexLock lock(&state_mutex_);
    running_.erase(proxy.get());
  }
  proxy->Kill();
  proxy->ForgetIn(*store_);
  return proxy->Wait();
}

void ProxySupervisor::BuryAll() {
  std::vector<ProxyPtr> all;
  {
    MutexLock call(&call_mutex_);
    all.swap(draining_);
    if (serving_ != nullptr) all.push_back(std::move(serving_));
  }
  for (ProxyPtr& proxy : all) Bury(std::move(proxy));
  MutexLock lock(&state_mutex_);
  state_.pid = 0;
}

void ProxySupervisor::Enlist(const RunningProxy* proxy) {
  MutexLock lock(&state_mutex_);
  running_.insert(proxy);
  if (stopping_) proxy->Kill();
}

}  // namespace sallyport::agent
