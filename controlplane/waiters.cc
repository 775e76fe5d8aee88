#include "controlplane/waiters.h"

#include <algorithm>

#include "common/base/strings.h"

namespace sallyport {
namespace {

// Hosts that the subjects concern, and the newest revision of those that do.
std::map<std::string, uint64_t> HostsToReach(const State& state,
                                             const ResourceRevisions& subjects) {
  std::map<std::string, uint64_t> hosts;
  for (const auto& [subject, revision] : subjects) {
    for (const std::string& host : ConcernedHosts(state, subject)) {
      hosts[host] = std::max(hosts[host], revision);
    }
  }
  return hosts;
}

constexpr size_t kMaxGone = 1000;

}  // namespace

Waiters::Waiters(const Store* store, std::function<void()> on_news)
    : store_(store), on_news_(std::move(on_news)), timer_([this] { RunTimer(); }) {
  // Hosts that have not come back since the last start are known by their containers.
  store_->Read()->hosts.ForEach([this](const std::string& host, const std::set<std::string>&) {
    MutexLock lock(&mutex_);
    Renew(host, &hosts_[host]);
  });
}

Waiters::~Waiters() {
  AnswerAll();
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  wake_timer_.Signal();
  timer_.join();
}

uint64_t Waiters::Connected(const std::string& host) {
  uint64_t stream = 0;
  {
    MutexLock lock(&mutex_);
    Host& entry = hosts_[host];
    entry.connected = true;
    entry.gone = false;
    stream = entry.stream = ++last_id_;
    // What an older stream reported does not bind an agent that may have lost its cache since.
    entry.progress = Progress();
    Renew(host, &entry);
  }
  on_news_();
  return stream;
}

void Waiters::Disconnected(const std::string& host, uint64_t stream) {
  const bool has_containers = store_->Read()->hosts.Find(host) != nullptr;
  {
    MutexLock lock(&mutex_);
    const auto it = hosts_.find(host);
    if (it == hosts_.end() || it->second.stream != stream) return;
    Host& entry = it->second;
    entry.connected = false;
    Renew(host, &entry);
    if (!has_containers) {
      entry.reported = false;
      entry.gone = true;
      entry.progress = Progress();
      gone_.push_back(host);
      ForgetGone();
    }
  }
  on_news_();
}

void Waiters::Renew(const std::string& name, Host* host) {
  by_news_.erase(host->news);
  host->news = ++last_news_;
  by_news_.emplace(host->news, name);
}

void Waiters::ForgetGone() {
  while (gone_.size() > kMaxGone) {
    const auto it = hosts_.find(gone_.front());
    gone_.pop_front();
    // It may have come back since.
    if (it == hosts_.end() || !it->second.gone) continue;
    by_news_.erase(it->second.news);
    hosts_.erase(it);
  }
}

void Waiters::Report(const std::string& host, uint64_t stream, Progress progress) {
  Answers answers;
  {
    MutexLock lock(&mutex_);
    const auto it = hosts_.find(host);
    if (it == hosts_.end() || it->second.stream != stream) return;
    Host& entry = it->second;
    const bool is_news = !entry.reported || entry.progress.revision != progress.revision ||
                         entry.progress.rejections != progress.rejections;
    if (!is_news) return;
    entry.progress = std::move(progress);
    entry.reported = true;
    Renew(host, &entry);
    const auto pending = pending_on_.find(host);
    if (pending != pending_on_.end()) {
      for (const uint64_t id : std::set<uint64_t>(pending->second)) {
        if (Reached(host, waiting_.at(id).hosts.at(host))) NoLongerPending(id, host, &answers);
      }
    }
  }
  Answer(answers);
  on_news_();
}

void Waiters::Recheck(const std::string& host) {
  Answers answers;
  {
    MutexLock lock(&mutex_);
    const auto pending = pending_on_.find(host);
    if (pending == pending_on_.end()) return;
    const std::shared_ptr<const State> state = store_->Read();
    for (const uint64_t id : std::set<uint64_t>(pending->second)) {
      Waiting& waiting = waiting_.at(id);
      const bool concerned = std::any_of(
          waiting.subjects.begin(), waiting.subjects.end(),
          [&](const auto& subject) { return IsConcerned(*state, host, subject.first); });
      if (concerned) continue;
      waiting.hosts.erase(host);
      NoLongerPending(id, host, &answers);
    }
  }
  Answer(answers);
}

std::optional<Waiters::Progress> Waiters::ProgressOf(const std::string& host) const {
  MutexLock lock(&mutex_);
  const auto it = hosts_.find(host);
  if (it == hosts_.end() || !it->second.reported) return std::nullopt;
  return it->second.progress;
}

std::optional<Waiters::News> Waiters::NewsAfter(uint64_t number) const {
  MutexLock lock(&mutex_);
  const auto it = by_news_.upper_bound(number);
  if (it == by_news_.end()) return std::nullopt;
  return MakeNews(it->second, hosts_.at(it->second));
}

std::optional<Waiters::News> Waiters::NewsOf(const std::string& host) const {
  MutexLock lock(&mutex_);
  const auto it = hosts_.find(host);
  if (it == hosts_.end()) return std::nullopt;
  return MakeNews(host, it->second);
}

size_t Waiters::hosts() const {
  MutexLock lock(&mutex_);
  return hosts_.size();
}

size_t Waiters::waiting() const {
  MutexLock lock(&mutex_);
  return waiting_.size();
}

Waiters::News Waiters::MakeNews(const std::string& name, const Host& host) const {
  return {host.news, name, host.connected, host.progress};
}

uint64_t Waiters::Wait(ResourceRevisions subjects, Clock::time_point deadline, Done done) {
  Answers answers;
  uint64_t id = 0;
  {
    MutexLock lock(&mutex_);
    id = ++last_id_;
    Waiting waiting;
    waiting.subjects = std::move(subjects);
    waiting.begin = Clock::now();
    waiting.deadline = deadline;
    // Under the lock: a Recheck comes either before, and the store is then as it left it, or after.
    waiting.hosts = HostsToReach(*store_->Read(), waiting.subjects);
    for (const auto& [host, revision] : waiting.hosts) {
      if (!Reached(host, revision)) waiting.pending.insert(host);
    }
    waiting.done = std::move(done);
    if (waiting.pending.empty() || answer_at_once_ || deadline <= waiting.begin) {
      answers.emplace_back(std::move(waiting.done), MakeOutcome(waiting));
    } else {
      for (const std::string& host : waiting.pending) pending_on_[host].insert(id);
      deadlines_.emplace(deadline, id);
      waiting_.emplace(id, std::move(waiting));
    }
  }
  wake_timer_.Signal();
  Answer(answers);
  return id;
}

bool Waiters::Cancel(uint64_t id) {
  MutexLock lock(&mutex_);
  if (!waiting_.contains(id)) return false;
  Remove(id);
  return true;
}

void Waiters::AnswerAll() {
  Answers answers;
  {
    MutexLock lock(&mutex_);
    answer_at_once_ = true;
    EndAll(&answers);
  }
  Answer(answers);
}

void Waiters::StartOver() {
  Answers answers;
  {
    MutexLock lock(&mutex_);
    EndAll(&answers);
    for (auto& [name, host] : hosts_) {
      if (host.gone) continue;
      host.progress = Progress();
      host.reported = false;
      Renew(name, &host);
    }
  }
  on_news_();
  Answer(answers);
}

void Waiters::EndAll(Answers* answers) {
  while (!waiting_.empty()) {
    auto& [id, waiting] = *waiting_.begin();
    answers->emplace_back(waiting.done, MakeOutcome(waiting));
    Remove(id);
  }
}

bool Waiters::Reached(const std::string& host, uint64_t revision) const {
  const auto it = hosts_.find(host);
  return it != hosts_.end() && it->second.progress.revision >= revision;
}

std::string Waiters::Refusal(const std::string& host, const ResourceRevisions& subjects) const {
  const auto it = hosts_.find(host);
  if (it == hosts_.end()) return "";
  for (const auto& [resource, reason] : it->second.progress.rejections) {
    bool concerned = subjects.contains(resource);
    // A class may fail in what it makes of a container.
    if (!concerned && resource.kind == v1::RESOURCE_KIND_CONTAINER) {
      const auto container = store_->Read()->containers.Find(resource.name);
      concerned = container != nullptr &&
                  subjects.contains(ResourceId::Class(container->value.class_name()));
    }
    if (concerned) return StrCat(host, " refused ", resource.ToString(), ": ", reason);
  }
  return "";
}

Waiters::Outcome Waiters::MakeOutcome(const Waiting& waiting) const {
  Outcome outcome;
  outcome.waited = Clock::now() - waiting.begin;
  outcome.pending = waiting.pending;
  for (const auto& [host, revision] : waiting.hosts) {
    if (waiting.pending.contains(host)) continue;
    std::string refusal = Refusal(host, waiting.subjects);
    if (refusal.empty()) {
      outcome.enforced.insert(host);
    } else {
      outcome.rejections.push_back(std::move(refusal));
    }
  }
  return outcome;
}

void Waiters::NoLongerPending(uint64_t id, const std::string& host, Answers* answers) {
  Waiting& waiting = waiting_.at(id);
  waiting.pending.erase(host);
  pending_on_.at(host).erase(id);
  if (pending_on_.at(host).empty()) pending_on_.erase(host);
  if (!waiting.pending.empty()) return;
  answers->emplace_back(std::move(waiting.done), MakeOutcome(waiting));
  Remove(id);
}

void Waiters::Remove(uint64_t id) {
  const auto it = waiting_.find(id);
  for (const std::string& host : it->second.pending) {
    const auto pending = pending_on_.find(host);
    pending->second.erase(id);
    if (pending->second.empty()) pending_on_.erase(pending);
  }
  deadlines_.erase({it->second.deadline, id});
  waiting_.erase(it);
}

void Waiters::RunTimer() {
  while (true) {
    Answers answers;
    {
      MutexLock lock(&mutex_);
      if (stopping_) return;
      if (deadlines_.empty()) {
        wake_timer_.Wait(&mutex_);
      } else if (deadlines_.begin()->first > Clock::now()) {
        wake_timer_.WaitUntil(&mutex_, deadlines_.begin()->first);
      } else {
        const uint64_t id = deadlines_.begin()->second;
        answers.emplace_back(waiting_.at(id).done, MakeOutcome(waiting_.at(id)));
        Remove(id);
      }
    }
    Answer(answers);
  }
}

void Waiters::Answer(const Answers& answers) {
  for (const auto& [done, outcome] : answers) done(outcome);
}

}  // namespace sallyport
