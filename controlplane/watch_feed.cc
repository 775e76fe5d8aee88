#include "controlplane/watch_feed.h"

#include <map>
#include <utility>

namespace sallyport {
namespace {

constexpr size_t kShards = CowMap<std::string>::kShards;

// Of a map, or null: there is none of that name.
template <typename V>
const void* Identity(const CowMap<V>& map, const std::string& name) {
  return map.Find(name).get();
}

const void* Identity(const State& state, const ResourceId& id) {
  switch (id.kind) {
    case v1::RESOURCE_KIND_CLASS:
      return Identity(state.classes, id.name);
    case v1::RESOURCE_KIND_CONTAINER:
      return Identity(state.containers, id.name);
    default:
      return Identity(state.handlers, id.name);
  }
}

// What watchers are told of. Secrets are not: nobody is shown one, sealed or not.
ResourceRevisions Shown(const State& state, const std::string& container_id) {
  ResourceRevisions shown = ResourcesNeeded(state, {container_id});
  std::erase_if(shown, [](const auto& one) { return one.first.kind == v1::RESOURCE_KIND_SECRET; });
  return shown;
}

v1::WatchResponse ToEvent(const Waiters::News& news) {
  v1::WatchResponse event;
  v1::WatchResponse::Enforced* enforced = event.mutable_enforced();
  enforced->set_host(news.host);
  enforced->set_revision(news.progress.revision);
  enforced->set_connected(news.connected);
  for (const auto& [id, reason] : news.progress.rejections) {
    v1::Ack::Rejected* rejected = enforced->add_rejected();
    *rejected->mutable_key() = id.ToProto();
    rejected->set_reason(reason);
  }
  return event;
}

}  // namespace

WatchFeed::WatchFeed(const Store* store, const Waiters* waiters, std::string container_id)
    : store_(store),
      waiters_(waiters),
      container_id_(std::move(container_id)),
      now_(std::make_shared<State>()) {}

std::optional<v1::WatchResponse> WatchFeed::Next() {
  while (true) {
    if (!pending_.empty()) {
      const Subject subject = std::move(pending_.front());
      pending_.pop_front();
      in_sync_owed_ = true;
      return Say(subject);
    } else if (before_ != nullptr) {
      container_id_.empty() ? CollectShard() : CollectContainer();
    } else if (news_left_ > 0) {
      if (auto event = SayNews()) return event;
    } else if (in_sync_owed_) {
      in_sync_owed_ = false;
      v1::WatchResponse event;
      event.set_in_sync(now_->revision);
      return event;
    } else if (!BeginRound()) {
      return std::nullopt;
    }
  }
}

bool WatchFeed::BeginRound() {
  std::shared_ptr<const State> newest = store_->Read();
  const bool changed = newest != now_;
  if (!changed && !NextNews().has_value()) return false;
  if (changed) before_ = std::exchange(now_, std::move(newest));
  shard_ = 0;
  // Hosts whose news never stop must not keep the store's changes from being said.
  news_left_ = waiters_->hosts();
  in_sync_owed_ = std::exchange(first_round_, false);
  return true;
}

// What others refer to comes first.
void WatchFeed::CollectShard() {
  const auto collect = [this](const auto& before, const auto& now, auto id_of) {
    before.DiffShard(
        before, now, shard_ % kShards, [&](const std::string& name, const auto&, const auto& last) {
          pending_.push_back({last == nullptr ? What::kRemoved : What::kUpdated, id_of(name)});
        });
  };
  switch (shard_ / kShards) {
    case 0:
      collect(before_->handlers, now_->handlers, ResourceId::Handler);
      break;
    case 1:
      collect(before_->classes, now_->classes, ResourceId::Class);
      break;
    case 2:
      collect(before_->containers, now_->containers, ResourceId::Container);
      break;
    case 3:
      before_->placements.DiffShard(
          before_->placements, now_->placements, shard_ % kShards,
          [this](const std::string& id, const auto& before, const auto& now) {
            CollectPlacement(id, before.get(), now.get());
          });
      break;
    default:
      before_ = nullptr;
      return;
  }
  ++shard_;
}

void WatchFeed::CollectContainer() {
  const ResourceRevisions before = Shown(*before_, container_id_);
  const ResourceRevisions now = Shown(*now_, container_id_);
  for (const auto& [id, revision] : now) {
    const bool same = before.contains(id) && Identity(*before_, id) == Identity(*now_, id);
    if (!same) pending_.push_back({What::kUpdated, id});
  }
  for (const auto& [id, revision] : before) {
    if (!now.contains(id)) pending_.push_back({What::kRemoved, id});
  }
  CollectPlacement(container_id_, before_->placements.Find(container_id_).get(),
                   now_->placements.Find(container_id_).get());
  before_ = nullptr;
}

void WatchFeed::CollectPlacement(const std::string& container_id, const std::string* before,
                                 const std::string* now) {
  const bool same = before != nullptr && now != nullptr ? *before == *now : before == now;
  // Of a container that is gone it has been said that it is.
  if (same || now_->containers.Find(container_id) == nullptr) return;
  pending_.push_back({What::kPlaced, ResourceId::Container(container_id)});
}

v1::WatchResponse WatchFeed::Say(const Subject& subject) const {
  v1::WatchResponse event;
  switch (subject.what) {
    case What::kUpdated:
      FillResource(*now_, subject.id, event.mutable_updated());
      break;
    case What::kRemoved:
      *event.mutable_removed() = subject.id.ToProto();
      break;
    case What::kPlaced: {
      event.mutable_placed()->set_container_id(subject.id.name);
      const auto host = now_->placements.Find(subject.id.name);
      if (host != nullptr) event.mutable_placed()->set_host(*host);
      break;
    }
  }
  return event;
}

std::optional<v1::WatchResponse> WatchFeed::SayNews() {
  const std::optional<Waiters::News> news = NextNews();
  news_left_ = news.has_value() ? news_left_ - 1 : 0;
  if (!news.has_value()) return std::nullopt;
  said_news_ = news->number;
  return ToEvent(*news);
}

std::optional<Waiters::News> WatchFeed::NextNews() const {
  if (container_id_.empty()) return waiters_->NewsAfter(said_news_);
  const auto host = now_->placements.Find(container_id_);
  if (host == nullptr) return std::nullopt;
  // Another host's news have another number, also when they are older.
  std::optional<Waiters::News> news = waiters_->NewsOf(*host);
  return news.has_value() && news->number != said_news_ ? news : std::nullopt;
}

}  // namespace sallyport
