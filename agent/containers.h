// The containers that this agent is the way out of.

#ifndef SALLYPORT_AGENT_CONTAINERS_H_
#define SALLYPORT_AGENT_CONTAINERS_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/attach/netns.h"
#include "agent/attach/run_directory.h"
#include "agent/process_watch.h"
#include "agent/proxy_supervisor.h"
#include "agent/sync_client.h"
#include "common/base/mutex.h"
#include "proto/sallyport/v1/agent.pb.h"

namespace sallyport::agent {

// Attaches and detaches. Thread-safe; calls for different containers go on side by side.
class Containers {
 public:
  // What is given outlives this. `own`: the agent's own namespace, which is never attached.
  Containers(NetworkNamespace own, RunDirectory* run_directory, ProxySupervisor* supervisor,
             SyncClient* sync);
  // Detaches all.
  ~Containers();

  // As AgentControl.Attach says; after an error nothing of it stays but the namespace's rules,
  // which let nothing out.
  absl::StatusOr<v1::AttachResponse> Attach(const v1::AttachRequest& request);
  // NOT_FOUND if it is not attached.
  absl::Status Detach(const std::string& id);
  std::vector<v1::ListAttachedResponse::Container> List() const;
  // From here on nothing is attached, and everything is detached.
  void DetachAll();

 private:
  struct Attached {
    std::string class_name;
    pid_t pid = 0;
    std::optional<NamespaceId> network;
    bool ephemeral = false;
    bool ready = false;                   // Attach has done its part, so that Detach may undo it.
    std::unique_ptr<ProcessWatch> watch;  // Null: attached by path.
  };

  // Takes the id and the namespace, so that no second Attach gets either.
  absl::Status Reserve(const v1::AttachRequest& request, const NetworkNamespace& network);
  // The redirect, the CA, and the proxy: in this order, so that nothing is let out before it is
  // decided on.
  absl::StatusOr<std::string> Set(const v1::AttachRequest& request,
                                  const NetworkNamespace& network);
  void Release(const std::string& id);

  const NetworkNamespace own_;
  RunDirectory* const run_directory_;
  ProxySupervisor* const supervisor_;
  SyncClient* const sync_;

  mutable Mutex mutex_;
  CondVar gone_;  // One less is attached.
  std::map<std::string, Attached> attached_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_CONTAINERS_H_
