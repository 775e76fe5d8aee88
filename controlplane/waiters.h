// How far each host enforces policy, and who waits until it enforces more.

#ifndef SALLYPORT_CONTROLPLANE_WAITERS_H_
#define SALLYPORT_CONTROLPLANE_WAITERS_H_

#include <chrono>
#include <cstdint>
#include <deque>
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

  // What is new of one host: its last report, and whether it is connected.
  struct News {
    uint64_t number = 0;  // Grows with each piece of news, of whichever host.
    std::string host;
    bool connected = false;
    Progress progress;
  };

  // Asks `store` which hosts are concerned. `on_news` is called, with no lock held, after each
  // change of what NewsAfter says; it must be quick.
  explicit Waiters(const Store* store, std::function<void()> on_news = [] {});
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

  // The host with the oldest news of those that came after number `number`; only the last news of
  // each host are kept. Of a host that is gone (not connected, no containers) they are kept for a
  // while. nullopt: there are none.
  std::optional<News> NewsAfter(uint64_t number) const;
  std::optional<News> NewsOf(const std::string& host) const;
  // How many hosts there are news of.
  size_t hosts() const;
  // How many wait.
  size_t waiting() const;

  // Calls `done` once: when every host that one of the subjects concerns has reported the revision
  // of each that concerns it or more, or at `deadline`; at once, before it returns, if either holds
  // already. Returns an id for Cancel.
  uint64_t Wait(ResourceRevisions subjects, Clock::time_point deadline, Done done);
  // True: `done` will not be called.
  bool Cancel(uint64_t id);
  // Calls every `done` now, and later ones at once.
  void AnswerAll();
  // The store is another: calls every `done` now, and forgets what hosts have reported.
  void StartOver();

 private:
  struct Host {
    uint64_t stream = 0;
    bool connected = false;
    bool reported = false;
    bool gone = false;  // It went, and had no containers.
    Progress progress;
    uint64_t news = 0;
  };
  struct Waiting {
    ResourceRevisions subjects;
    Clock::time_point begin;
    Clock::time_point deadline;
    std::map<std::string, uint64_t> hosts;  // All that are concerned, and how far they must come.
    std::set<std::string> pending;          // Those of them that have not come so far.
    Done done;
  };
  using Answers = std::vector<std::pair<Done, Outcome>>;

  // The host has news: it goes to the end of the line.
  void Renew(const std::string& name, Host* host) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Keeps the number of hosts that are gone within limits.
  void ForgetGone() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  News MakeNews(const std::string& name, const Host& host) const;
  bool Reached(const std::string& host, uint64_t revision) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Why the host refused one of the subjects; empty: it did not.
  std::string Refusal(const std::string& host, const ResourceRevisions& subjects) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Outcome MakeOutcome(const Waiting& waiting) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoLongerPending(uint64_t id, const std::string& host, Answers* answers)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndAll(Answers* answers) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Remove(uint64_t id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RunTimer();
  static void Answer(const Answers& answers);

  const Store* const store_;
  const std::function<void()> on_news_;
  mutable Mutex mutex_;
  CondVar wake_timer_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool answer_at_once_ ABSL_GUARDED_BY(mutex_) = false;
  uint64_t last_id_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, Host> hosts_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_news_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<uint64_t, std::string> by_news_ ABSL_GUARDED_BY(mutex_);  // Host of each `Host::news`.
  std::deque<std::string> gone_ ABSL_GUARDED_BY(mutex_);  // In the order in which they went.
  std::map<uint64_t, Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
  // Host → ids of the waits in which it is pending.
  std::map<std::string, std::set<uint64_t>> pending_on_ ABSL_GUARDED_BY(mutex_);
  std::set<std::pair<Clock::time_point, uint64_t>> deadlines_ ABSL_GUARDED_BY(mutex_);
  std::thread timer_;  // Last: starts when the rest is there.
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_WAITERS_H_
