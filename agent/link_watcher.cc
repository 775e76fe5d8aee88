#include "agent/link_watcher.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/status.h"

namespace sallyport::agent {
namespace {

constexpr uint64_t kStopToken = ~uint64_t{0};
constexpr uint64_t kHostToken = 0;
// Whoever gives a container interfaces stops sooner.
constexpr int kTooMany = 64;

bool Add(const UniqueFd& epoll, const UniqueFd& fd, uint64_t token) {
  epoll_event event{.events = EPOLLIN, .data = {.u64 = token}};
  return epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd.get(), &event) == 0;
}

}  // namespace

LinkWatcher::LinkWatcher(HostRules* rules, Reported reported)
    : rules_(rules),
      reported_(std::move(reported)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      stop_(eventfd(0, EFD_CLOEXEC)),
      thread_([this] { Run(); }) {
  SALLYPORT_CHECK(Add(epoll_, stop_, kStopToken));
  const absl::Status status = WatchHost();
  // An ordinary user's agent has no rules on the host.
  if (!status.ok() && !absl::IsPermissionDenied(status)) {
    LogError("rules of interfaces that are gone stay: ", status.message());
  }
}

LinkWatcher::~LinkWatcher() {
  const uint64_t one = 1;
  SALLYPORT_CHECK(write(stop_.get(), &one, sizeof(one)) == sizeof(one));
  thread_.join();
}

absl::Status LinkWatcher::WatchHost() {
  ASSIGN_OR_RETURN(UniqueFd events, OpenLinkEvents());
  return Watch(std::move(events), kHostToken);
}

absl::Status LinkWatcher::Watch(UniqueFd link_events, uint64_t token) {
  auto watched = std::make_shared<Watched>();
  watched->events = std::move(link_events);
  if (token != kHostToken) {
    ASSIGN_OR_RETURN(const NetworkNamespace inside, NetworkNamespace::OfSocket(watched->events));
    const absl::StatusOr<int> number = GiveNumber(inside);
    // An ordinary user's agent may not look from the host's end; then the end inside has to do.
    if (!number.ok() && !absl::IsPermissionDenied(number.status())) return number.status();
    watched->number = number.value_or(kNoNumber);
  }
  MutexLock lock(&mutex_);
  watched_[token] = watched;
  if (watched->number != kNoNumber) tokens_[watched->number] = token;
  // Behind the entry: what comes from here on is seen on the host, and what came before is listed.
  RETURN_IF_ERROR(AskForLinks(watched->events));
  if (Add(epoll_, watched->events, token)) return absl::OkStatus();
  watched_.erase(token);
  return absl::ErrnoToStatus(errno, "the namespace's interfaces cannot be watched");
}

void LinkWatcher::Forget(uint64_t token) {
  MutexLock lock(&mutex_);
  const auto found = watched_.find(token);
  if (found == watched_.end()) return;
  const auto number = tokens_.find(found->second->number);
  if (number != tokens_.end() && number->second == token) tokens_.erase(number);
  watched_.erase(found);
}

void LinkWatcher::Run() {
  for (;;) {
    epoll_event event;
    // One at a time: the next call begins behind what this one gave.
    const int count = epoll_wait(epoll_.get(), &event, 1, -1);
    if (count < 1) continue;
    // A copy: epoll_event is packed, and nothing may refer to its members.
    const uint64_t token = event.data.u64;
    if (token == kStopToken) return;
    std::shared_ptr<Watched> watched;
    {
      MutexLock lock(&mutex_);
      const auto found = watched_.find(token);
      if (found != watched_.end()) watched = found->second;
    }
    if (watched != nullptr) OnEvents(token, watched.get());
  }
}

void LinkWatcher::OnEvents(uint64_t token, Watched* watched) {
  absl::Status read =
      ReadLinkEvents(watched->events, [&](const Link& link) { OnLink(token, watched, link); });
  if (absl::IsResourceExhausted(read)) {
    if (token == kHostToken) rules_->ForgetGone();
    read = AskForLinks(watched->events);
  }
  if (!read.ok()) LogError("interfaces of a namespace are not seen: ", read.message());
}

absl::StatusOr<int> LinkWatcher::HostWithin(Watched* watched) {
  if (watched->host != kNoNumber) return watched->host;
  ASSIGN_OR_RETURN(const NetworkNamespace host, NetworkNamespace::Own());
  if (watched->number != kNoNumber) {
    ASSIGN_OR_RETURN(watched->host, NumberWithin(watched->number, host));
  } else {
    ASSIGN_OR_RETURN(const NetworkNamespace inside, NetworkNamespace::OfSocket(watched->events));
    RETURN_IF_ERROR(inside.Run([&]() -> absl::Status {
      ASSIGN_OR_RETURN(watched->host, NumberOf(host));
      return absl::OkStatus();
    }));
  }
  return watched->host;
}

void LinkWatcher::OnLink(uint64_t token, Watched* watched, const Link& link) {
  if (token == kHostToken) return OnHostLink(link);
  if (link.gone) return;
  absl::StatusOr<int> number = kNoNumber;
  if (link.peer_namespace.has_value()) number = HostWithin(watched);
  if (!number.ok()) return Report(token, watched, link, number.status());
  if (!link.MayLeadOut(*number)) return;
  if (link.peer_namespace.has_value() && rules_->Holds(link.peer)) return;
  absl::StatusOr<NetworkNamespace> inside = NetworkNamespace::OfSocket(watched->events);
  absl::StatusOr<NetworkNamespace> host = NetworkNamespace::Own();
  Report(token, watched, link,
         !inside.ok() ? inside.status()
         : !host.ok() ? host.status()
                      : RemoveLink(*inside, *host, link));
}

// Of a pair that is just being made, the end inside is reported before it has another.
void LinkWatcher::OnHostLink(const Link& link) {
  if (link.gone) return rules_->Forget(link.index);
  if (link.kind != "veth" || !link.peer_namespace.has_value() || rules_->Holds(link.index)) return;
  std::shared_ptr<Watched> watched;
  uint64_t token = 0;
  {
    MutexLock lock(&mutex_);
    const auto found = tokens_.find(*link.peer_namespace);
    if (found == tokens_.end()) return;
    token = found->second;
    watched = watched_[token];
  }
  Report(token, watched.get(), link, DeleteLink(link.index));
}

void LinkWatcher::Report(uint64_t token, Watched* watched, const Link& link, absl::Status removed) {
  // A pair that has no end on the host any more has none here.
  if (absl::IsNotFound(removed) && link.kind == "veth") return;
  Outcome outcome;
  outcome.link = link.name;
  outcome.removed = std::move(removed);
  outcome.too_many = ++watched->removed >= kTooMany;
  reported_(token, outcome);
}

}  // namespace sallyport::agent
