// Has the proxy learn when a secret's file was changed.

#ifndef SALLYPORT_AGENT_SECRET_REFRESHER_H_
#define SALLYPORT_AGENT_SECRET_REFRESHER_H_

#include <chrono>
#include <thread>

#include "agent/proxy_supervisor.h"
#include "common/base/mutex.h"

namespace sallyport::agent {

// Looks every `period`, from a thread of its own, until it is destroyed. The files are few and
// small; what they stand for may be put in place by a rename, a mount or a link in any folder above
// them, which is why they are read rather than watched.
class SecretRefresher {
 public:
  // `supervisor` outlives this.
  explicit SecretRefresher(ProxySupervisor* supervisor,
                           std::chrono::milliseconds period = std::chrono::seconds(1));
  ~SecretRefresher();

 private:
  void Run();

  ProxySupervisor* const supervisor_;
  const std::chrono::milliseconds period_;
  Mutex mutex_;
  CondVar stopped_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // Last: it uses the rest.
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_SECRET_REFRESHER_H_
