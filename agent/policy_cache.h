// The last known policy, on disk, so that it is enforced with the control plane away and after a
// restart.
//
// File STATE_DIR/policy.cache:
//
//   magic      "sallyport-policy-1\n"
//   checksum   32 bytes, SHA-256 of what follows
//   policy     sallyport.v1.Delta: from nothing (`reset`) to the state at its epoch and revision
//
// It is written beside and renamed, so that there is always one whole file. A file that does not
// check out, or that others than its owner can write, is ignored: its containers reach nothing
// until the control plane has been asked. Secrets are not in it (secrets/secrets.h). The checksum
// finds damage, not a forger: whoever can write here is the host's root, and could as well change
// the agent. Older files put back are found by the control plane, which knows the revision of all
// that is in them.
//
// File STATE_DIR/policy.log: the deltas since, see policy_log.h. What was acknowledged is on disk
// first: after a power cut, with the control plane away, no older policy than that comes back.

#ifndef SALLYPORT_AGENT_POLICY_CACHE_H_
#define SALLYPORT_AGENT_POLICY_CACHE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/policy_log.h"
#include "common/base/mutex.h"
#include "proto/sallyport/v1/sync.pb.h"

namespace sallyport::agent {

// Thread-safe.
class PolicyCache {
 public:
  // Makes the directory if need be. A file that is missing or broken is an empty cache.
  static absl::StatusOr<std::unique_ptr<PolicyCache>> Open(const std::string& state_dir);

  // Adds what `delta` changes, without the resources that were rejected: of these the last good
  // version stays. A delta of revision 0 is a part of one that follows, and leaves the revision as
  // it is. On disk when this returns OK; after an error nothing has changed. FAILED_PRECONDITION if
  // the delta does not lead on from what is here: an older revision, or another epoch, without
  // `reset`.
  absl::Status Commit(const v1::Delta& delta, const std::vector<v1::Ack::Rejected>& rejected);
  // Whether Commit would say FAILED_PRECONDITION.
  absl::Status CheckLeadsOn(const v1::Delta& delta) const;
  // Removes one container's rules.
  absl::Status Forget(const std::string& container_id);

  // Everything, as a delta from nothing.
  v1::Delta Full() const;
  // What to tell the control plane: sets `epoch` and `known`.
  void FillHello(v1::Hello* hello) const;
  uint64_t revision() const;
  // 0: nothing has come yet.
  uint64_t epoch() const;
  // Whether a handler is here with that Unix socket among its endpoints.
  bool NamesSocket(const std::string& path) const;
  // The class of the container whose rules are here.
  std::optional<std::string> ClassOf(const std::string& container_id) const;

 private:
  using Key = std::pair<v1::ResourceKind, std::string>;
  struct State {
    uint64_t epoch = 0;
    uint64_t revision = 0;
    std::map<Key, v1::Resource> resources;
  };

  explicit PolicyCache(std::string path) : path_(std::move(path)) {}
  absl::Status CheckLeadsOnLocked(const v1::Delta& delta) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Onto the disk, then into the state.
  absl::Status Take(const v1::Delta& delta) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status TakeWhole(const v1::Delta& delta) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Load() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void ApplyTo(const v1::Delta& delta, State* state);
  static Key KeyOf(const v1::Resource& resource);
  static v1::Delta ToDelta(const State& state);

  const std::string path_;
  mutable Mutex mutex_;
  // Follows a whole file that is there; else nullopt, and the next change writes one.
  std::optional<PolicyLog> log_ ABSL_GUARDED_BY(mutex_);
  State state_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_POLICY_CACHE_H_
