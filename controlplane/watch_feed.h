// What one watcher is told, in order: each round says how the newest state differs from the one
// that was said last, then what is new of the hosts, then `in_sync`. Pull: whoever cannot take the
// next event does not ask for it, and finds versions skipped when it asks again.

#ifndef SALLYPORT_CONTROLPLANE_WATCH_FEED_H_
#define SALLYPORT_CONTROLPLANE_WATCH_FEED_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "controlplane/concern.h"
#include "controlplane/store/store.h"
#include "controlplane/waiters.h"
#include "proto/sallyport/v1/admin.pb.h"

namespace sallyport {

// Holds two states, which share what is the same in them, and the names of what differs in one
// shard: constant memory, however far behind. Not thread-safe.
class WatchFeed {
 public:
  // `container_id`: only what concerns this container; what no longer does is said to be removed.
  // Empty: everything. `store` and `waiters`
  // outlive this.
  WatchFeed(const Store* store, const Waiters* waiters, std::string container_id);

  // nullopt: everything has been said, until the store changes or a host has news.
  std::optional<v1::WatchResponse> Next();

 private:
  // What there is to say of `now_`.
  struct Subject {
    enum class What { kUpdated, kRemoved, kPlaced };
    What what;
    ResourceId id;
  };
  using What = Subject::What;

  // Collects the next part of the difference between `before_` and `now_`; lets go of `before_`
  // when there is none.
  void CollectShard();
  void CollectContainer();
  void CollectPlacement(const std::string& container_id, const std::string* before,
                        const std::string* now);
  v1::WatchResponse Say(const Subject& subject) const;
  std::optional<v1::WatchResponse> SayNews();
  std::optional<Waiters::News> NextNews() const;
  // False: there is nothing to begin a round for.
  bool BeginRound();

  const Store* const store_;
  const Waiters* const waiters_;
  const std::string container_id_;

  std::shared_ptr<const State> before_;  // Null: all of the difference is collected.
  std::shared_ptr<const State> now_;
  size_t shard_ = 0;
  std::deque<Subject> pending_;
  size_t news_left_ = 0;  // Of this round, at most.
  uint64_t said_news_ = 0;
  bool first_round_ = true;
  bool in_sync_owed_ = false;
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_WATCH_FEED_H_
