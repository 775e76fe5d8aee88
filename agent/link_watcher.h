// Sees to it that attached namespaces get no other way out later: an interface by which one would
// lead to the host is taken away as it appears.

#ifndef SALLYPORT_AGENT_LINK_WATCHER_H_
#define SALLYPORT_AGENT_LINK_WATCHER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/attach/host_rules.h"
#include "agent/attach/links.h"
#include "agent/attach/netns.h"
#include "common/base/mutex.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {

// A pair of which one end comes into the namespace is seen on the host as well, where root inside
// can take neither end away before it is seen. One socket for each namespace, so that a container
// which makes interfaces without end fills its own queue alone, and one thread for all of them.
// Interfaces of routed containers that are held on the host may stay, and when their host end is
// gone the rules are told. Thread-safe.
class LinkWatcher {
 public:
  struct Outcome {
    std::string link;
    absl::Status removed;
    // Nobody means to give a container so many.
    bool too_many = false;
  };
  using Reported = std::function<void(uint64_t token, const Outcome&)>;

  // `rules` outlives this. `reported` is called on the watcher's thread.
  LinkWatcher(HostRules* rules, Reported reported);
  // `reported` is not called any more when this returns.
  ~LinkWatcher();

  // What is there already is looked at as well. `token`: not 0, never used before.
  absl::Status Watch(UniqueFd link_events, uint64_t token);
  void Forget(uint64_t token);

 private:
  struct Watched {
    UniqueFd events;
    int number = kNoNumber;  // That the host has for the namespace.
    // The watcher's thread's alone:
    int host = kNoNumber;  // That the namespace has for the host, once it has one.
    int removed = 0;
  };

  static absl::StatusOr<int> HostWithin(Watched* watched);
  absl::Status WatchHost();
  void Run();
  void OnEvents(uint64_t token, Watched* watched);
  void OnLink(uint64_t token, Watched* watched, const Link& link);
  void OnHostLink(const Link& link);
  void Report(uint64_t token, Watched* watched, const Link& link, absl::Status removed);

  HostRules* const rules_;
  const Reported reported_;
  const UniqueFd epoll_;
  const UniqueFd stop_;  // An eventfd.

  Mutex mutex_;
  std::map<uint64_t, std::shared_ptr<Watched>> watched_ ABSL_GUARDED_BY(mutex_);
  std::map<int, uint64_t> tokens_ ABSL_GUARDED_BY(mutex_);  // By Watched::number.

  std::thread thread_;  // Last: it uses the rest.
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_LINK_WATCHER_H_
