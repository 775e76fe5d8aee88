// The live streams of agents, one per host name.

#ifndef SALLYPORT_CONTROLPLANE_SYNC_HUB_H_
#define SALLYPORT_CONTROLPLANE_SYNC_HUB_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/base/mutex.h"

namespace sallyport {

// One agent's stream, as the hub sees it.
class SyncStream {
 public:
  virtual ~SyncStream() = default;
  // The store has changed in what concerns this host.
  virtual void Poke() = 0;
  // Another stream has taken the host name: ends with ABORTED.
  virtual void Replace() = 0;
  // Ends with UNAVAILABLE.
  virtual void Stop(const std::string& why) = 0;
  // Ends if its certificate has expired, or is revoked.
  virtual void Recheck() = 0;
};

// Thread-safe. Calls streams with no lock held.
class SyncHub {
 public:
  // The stream speaks for the host from now on; an older one ends.
  void Claim(const std::string& host, std::shared_ptr<SyncStream> stream);
  // Does nothing if another stream speaks for the host by now.
  void Release(const std::string& host, const SyncStream* stream);
  bool IsLive(const std::string& host) const;
  // How many hosts have one.
  size_t size() const;
  void Poke(const std::set<std::string>& hosts) const;
  void StopAll(const std::string& why);
  void RecheckAll();

 private:
  std::vector<std::shared_ptr<SyncStream>> All() const;

  mutable Mutex mutex_;
  std::map<std::string, std::shared_ptr<SyncStream>> streams_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_SYNC_HUB_H_
