// Audit records between the agents that send them and those who follow.

#ifndef SALLYPORT_CONTROLPLANE_AUDIT_STREAMS_H_
#define SALLYPORT_CONTROLPLANE_AUDIT_STREAMS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "controlplane/audit_queue.h"
#include "controlplane/sync_hub.h"
#include "proto/sallyport/v1/audit_stream.pb.h"

namespace sallyport {

// One follower's stream, as AuditStreams sees it.
class AuditFollower {
 public:
  virtual ~AuditFollower() = default;
  // Which records it wants; never changes.
  virtual const v1::AuditFilter& filter() const = 0;
  // A record that its filter lets through, or a gap. Never waits; returns how many records the
  // follower is too slow for.
  virtual uint64_t Offer(AuditQueue::Item item, size_t bytes) = 0;
  // Another host may heed what is wanted.
  virtual void Poke() = 0;
  // Ends with UNAVAILABLE.
  virtual void Stop() = 0;
  // Ends if its caller's certificate has expired, or is revoked.
  virtual void Recheck() = 0;
};

// Who sends, who follows, and what is wanted: a number that grows with each change of it. Keeps no
// record. Thread-safe; calls streams and followers with no lock held.
class AuditStreams {
 public:
  // Each costs work at each record, and the memory of a queue.
  static constexpr size_t kMaxFollowers = 32;

  struct Stats {
    size_t followers = 0;
    uint64_t records = 0;  // Those that agents have sent.
    uint64_t refused = 0;  // Those that they had no right to.
    uint64_t missed = 0;   // By followers that were too slow.
  };

  Stats stats() const;
  void StopAll();
  void RecheckAll();

  // Agents' streams. The newest of a host speaks for it.
  void Claim(const std::string& host, std::shared_ptr<SyncStream> stream);
  void Release(const std::string& host, const SyncStream* stream);
  // What to tell agents.
  v1::PublishResponse Wanted() const;
  uint64_t wanted_number() const;
  // The host's proxies heed what was wanted then.
  void NoteFollowing(const std::string& host, uint64_t number);
  // Gives followers what they want. A record that `may_speak_for` does not let through counts as
  // missing.
  using MaySpeakFor = std::function<bool(const std::string& container_id)>;
  void Append(const std::string& host, v1::PublishRequest::Entries entries,
              const MaySpeakFor& may_speak_for);

  // Returns the number from which on agents know of this follower. RESOURCE_EXHAUSTED: there are
  // too many.
  absl::StatusOr<uint64_t> Add(std::shared_ptr<AuditFollower> follower);
  void Remove(const AuditFollower* follower);
  // Whether those of the hosts that send records heed what was wanted then; `silent` are those that
  // send none.
  bool IsReady(uint64_t wanted, const std::set<std::string>& hosts,
               std::set<std::string>* silent) const;

 private:
  struct Publisher {
    std::shared_ptr<SyncStream> stream;
    uint64_t following = 0;
  };
  using FollowerPtr = std::shared_ptr<AuditFollower>;

  std::vector<std::shared_ptr<SyncStream>> Publishers() const;
  std::vector<FollowerPtr> Followers() const;
  void WantedChanged();
  void Offer(const std::vector<FollowerPtr>& followers, const AuditQueue::Item& item);
  void OfferGap(const std::vector<FollowerPtr>& followers, const std::string& host,
                uint64_t missing);

  mutable Mutex mutex_;
  std::map<std::string, Publisher> publishers_ ABSL_GUARDED_BY(mutex_);  // By host.
  std::map<const AuditFollower*, FollowerPtr> followers_ ABSL_GUARDED_BY(mutex_);
  uint64_t wanted_ ABSL_GUARDED_BY(mutex_) = 1;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  Stats stats_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_AUDIT_STREAMS_H_
