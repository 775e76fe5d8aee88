// How far each host enforces policy, and who waits until it enforces more.

#ifndef SALLYPORT_CONTROLPLANE_WAITERS_H_
#define SALLYPORT_CONTROLPLANE_WAITERS_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/mutex.h"
#include "controlplane/concern.h"
#include "controlplane/store/store.h"

namespace sallyport {

// Thread-safe. Callbacks run on the thread that brought the news (or on the timer's), with no lock
// of this class held.
class Waiters {
 public:
  using Clock = std::chrono::steady_clock;

  struct Outcome {
    std::set<std::string> enforced;
    std::set<std::string> pending;
    std::vector<std::string> rejections;  // One sentence per host that refused.
    Clock::duration waited = Clock::duration::zero();
  };
  using Done = std::function<void(const Outcome&)>;

  struct Progress {
    uint64_t revision = 0;  // The host enforces everything up to it, save for what it rejects.
    std::map<ResourceId, std::string> rejections;
  };

  // Asks `store` which hosts are concerned.
  explicit Waiters(const Store* store);
  // Answers everyone who still waits.
  ~Waiters();
  Waiters(const Waiters&) = delete;
  Waiters& operator=(const Waiters&) = delete;

  // A stream of the host begins. Returns what its reports are recognised by: those of an older
  // stream no longer count.
  uint64_t Connected(const std::string& host);
  void Disconnected(const std::string& host, uint64_t stream);
  void Report(const std::string& host, uint64_t stream, Progress progress);
  // Containers have left the host: waits that it no longer concerns do not wait for it.
  void Recheck(const std::string& host);
  // What the host reported last; nullopt: nothing since the start.
  std::optional<Progress> ProgressOf(const std::string& host) const;

  // Calls `done` once: when every host that `subject` concerns has reported `revision` or more, or
  // at `deadline`; at once, before it returns, if either holds already. Returns an id for Cancel.
  uint64_t Wait(const ResourceId& subject, uint64_t revision, Clock::time_point deadline,
                Done done);
  // True: `done` will not be called.
  bool Cancel(uint64_t id);
  // Calls every `done` now, and later ones at once.
  void AnswerAll();

 private:
  struct Host {
    uint64_t stream = 0;
    bool connected = false;
    bool reported = false;
    Progress progress;
  };
  struct Waiting {
    ResourceId subject;
    uint64_t revision = 0;
    Clock::time_point begin;
    Clock::time_point deadline;
    std::set<std::string> hosts;    // All that are concerned.
    std::set<std::string> pending;  // Those of them that have not come so far.
    Done done;
  };
  using Answers = std::vector<std::pair<Done, Outcome>>;

  bool Reached(const std::string& host, uint64_t revision) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Why the host refused the subject; empty: it did not.
  std::string Refusal(const std::string& host, const ResourceId& subject) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Outcome MakeOutcome(const Waiting& waiting) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoLongerPending(uint64_t id, const std::string& host, Answers* answers)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Remove(uint64_t id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RunTimer();
  static void Answer(const Answers& answers);

  const Store* const store_;
  mutable Mutex mutex_;
  CondVar wake_timer_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool answer_at_once_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t last_id_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, Host> hosts_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
  // Host → ids of the waits in which it is pending.
  std::map<std::string, std::set<uint64_t>> pending_on_ ABSL_GUARDED_BY(mutex_);
  std::set<std::pair<Clock::time_point, uint64_t>> deadlines_ ABSL_GUARDED_BY(mutex_);
  std::thread timer_;  // Last: starts when the rest is there.
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_WAITERS_H_
