#include "controlplane/audit_streams.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/audit/filter.h"

namespace sallyport {
namespace {

bool WantsAll(const v1::AuditFilter& filter) { return filter.ByteSizeLong() == 0; }

}  // namespace

AuditStreams::Stats AuditStreams::stats() const {
  MutexLock lock(&mutex_);
  Stats stats = stats_;
  stats.followers = followers_.size();
  return stats;
}

std::vector<std::shared_ptr<SyncStream>> AuditStreams::Publishers() const {
  std::vector<std::shared_ptr<SyncStream>> streams;
  MutexLock lock(&mutex_);
  for (const auto& [host, publisher] : publishers_) streams.push_back(publisher.stream);
  return streams;
}

std::vector<AuditStreams::FollowerPtr> AuditStreams::Followers() const {
  std::vector<FollowerPtr> followers;
  MutexLock lock(&mutex_);
  for (const auto& [key, follower] : followers_) followers.push_back(follower);
  return followers;
}

void AuditStreams::StopAll() {
  {
    MutexLock lock(&mutex_);
    stopped_ = true;
  }
  for (const FollowerPtr& follower : Followers()) follower->Stop();
  for (const auto& stream : Publishers()) stream->Stop("the control plane stops; connect again");
}

void AuditStreams::RecheckAll() {
  for (const FollowerPtr& follower : Followers()) follower->Recheck();
  for (const auto& stream : Publishers()) stream->Recheck();
}

void AuditStreams::Claim(const std::string& host, std::shared_ptr<SyncStream> stream) {
  std::shared_ptr<SyncStream> older;
  {
    MutexLock lock(&mutex_);
    older = std::exchange(publishers_[host], {.stream = std::move(stream)}).stream;
  }
  if (older == nullptr) return;
  older->Replace();
  OfferGap(Followers(), host, 0);
}

void AuditStreams::Release(const std::string& host, const SyncStream* stream) {
  std::shared_ptr<SyncStream> released;  // Its last owner must not be destroyed under the lock.
  {
    MutexLock lock(&mutex_);
    const auto found = publishers_.find(host);
    if (found == publishers_.end() || found->second.stream.get() != stream) return;
    released = std::move(found->second.stream);
    publishers_.erase(found);
  }
  const std::vector<FollowerPtr> followers = Followers();
  OfferGap(followers, host, 0);
  for (const FollowerPtr& follower : followers) follower->Poke();  // It need not wait for it.
}

uint64_t AuditStreams::wanted_number() const {
  MutexLock lock(&mutex_);
  return wanted_;
}

v1::PublishResponse AuditStreams::Wanted() const {
  v1::PublishResponse wanted;
  MutexLock lock(&mutex_);
  wanted.set_number(wanted_);
  std::set<std::string> said;
  for (const auto& [key, follower] : followers_) {
    if (WantsAll(follower->filter())) {
      wanted.clear_filters();
      wanted.add_filters();
      return wanted;
    }
    if (said.insert(follower->filter().SerializeAsString()).second)
      *wanted.add_filters() = follower->filter();
  }
  return wanted;
}

void AuditStreams::NoteFollowing(const std::string& host, uint64_t number) {
  {
    MutexLock lock(&mutex_);
    const auto found = publishers_.find(host);
    if (found != publishers_.end()) found->second.following = number;
  }
  for (const FollowerPtr& follower : Followers()) follower->Poke();
}

void AuditStreams::Append(const std::string& host, v1::PublishRequest::Entries entries,
                          const MaySpeakFor& may_speak_for) {
  const std::vector<FollowerPtr> followers = Followers();
  uint64_t refused = 0;
  for (v1::AuditEntry& entry : *entries.mutable_entries()) {
    const bool permitted = may_speak_for(entry.record().container_id());
    refused += permitted ? 0 : 1;
    const uint64_t missing = entry.missing() + (permitted ? 0 : 1);
    if (missing > 0) OfferGap(followers, host, missing);
    if (!permitted) continue;
    const auto item = std::make_shared<v1::FollowResponse>();
    *item->mutable_record() = std::move(*entry.mutable_record());
    Offer(followers, item);
  }
  MutexLock lock(&mutex_);
  stats_.records += static_cast<uint64_t>(entries.entries_size());
  stats_.refused += refused;
}

void AuditStreams::OfferGap(const std::vector<FollowerPtr>& followers, const std::string& host,
                            uint64_t missing) {
  const auto item = std::make_shared<v1::FollowResponse>();
  item->mutable_gap()->set_host(host);
  item->mutable_gap()->set_missing(missing);
  Offer(followers, item);
}

void AuditStreams::Offer(const std::vector<FollowerPtr>& followers, const AuditQueue::Item& item) {
  const size_t bytes = item->SpaceUsedLong();
  uint64_t missed = 0;
  for (const FollowerPtr& follower : followers) {
    if (item->has_gap() || Wants(follower->filter(), item->record()))
      missed += follower->Offer(item, bytes);
  }
  if (missed == 0) return;
  MutexLock lock(&mutex_);
  stats_.missed += missed;
}

absl::StatusOr<uint64_t> AuditStreams::Add(std::shared_ptr<AuditFollower> follower) {
  uint64_t wanted = 0;
  {
    MutexLock lock(&mutex_);
    if (stopped_) return absl::UnavailableError("the control plane stops; follow again");
    if (followers_.size() >= kMaxFollowers) {
      return absl::ResourceExhaustedError(
          absl::StrCat(kMaxFollowers, " callers follow audit records already: end one"));
    }
    const AuditFollower* const key = follower.get();
    followers_.emplace(key, std::move(follower));
    wanted = ++wanted_;
  }
  WantedChanged();
  return wanted;
}

void AuditStreams::Remove(const AuditFollower* follower) {
  FollowerPtr removed;  // Its last owner must not be destroyed under the lock.
  {
    MutexLock lock(&mutex_);
    const auto found = followers_.find(follower);
    if (found == followers_.end()) return;
    removed = std::move(found->second);
    followers_.erase(found);
    ++wanted_;
  }
  WantedChanged();
}

void AuditStreams::WantedChanged() {
  for (const auto& stream : Publishers()) stream->Poke();
}

bool AuditStreams::IsReady(uint64_t wanted, const std::set<std::string>& hosts,
                           std::set<std::string>* silent) const {
  MutexLock lock(&mutex_);
  for (const std::string& host : hosts) {
    const auto publisher = publishers_.find(host);
    if (publisher == publishers_.end()) {
      silent->insert(host);
    } else if (publisher->second.following < wanted) {
      return false;
    }
  }
  return true;
}

}  // namespace sallyport
