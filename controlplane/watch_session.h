// One watcher's stream: writes what its feed says, one event at a time. While a write waits for a
// slow reader the feed is not asked, and nothing piles up.

#ifndef SALLYPORT_CONTROLPLANE_WATCH_SESSION_H_
#define SALLYPORT_CONTROLPLANE_WATCH_SESSION_H_

#include <grpcpp/security/auth_context.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <memory>
#include <string>
#include <utility>

#include "common/base/mutex.h"
#include "controlplane/control_plane.h"
#include "controlplane/watch_feed.h"
#include "controlplane/watch_hub.h"
#include "proto/sallyport/v1/admin.pb.h"

namespace sallyport {

// Thread-safe; owns itself until gRPC is done with it.
class WatchSession final : public grpc::ServerWriteReactor<v1::WatchResponse>,
                           public Watcher,
                           public std::enable_shared_from_this<WatchSession> {
 public:
  // A stream of everything, or (`container_id` is not empty) of what concerns one container. Ends
  // at once with INVALID_ARGUMENT or NOT_FOUND if there can be no such container or is none, with
  // RESOURCE_EXHAUSTED if there are too many watchers.
  // `connection`: of the call, by which the caller is known.
  static WatchSession* Start(const ControlPlane* control_plane,
                             std::shared_ptr<const grpc::AuthContext> connection,
                             const std::string& container_id);
  WatchSession(const ControlPlane* control_plane,
               std::shared_ptr<const grpc::AuthContext> connection, const std::string& container_id)
      : hub_(control_plane->watchers),
        authorizer_(control_plane->authorizer),
        connection_(std::move(connection)),
        feed_(control_plane->store, control_plane->waiters, container_id) {}

  void Poke() override;
  void Stop() override;
  void Recheck() override;

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  // Writes the next event, if there is one and nothing is under way.
  void Pump() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void End(const grpc::Status& status);

  WatchHub* const hub_;
  const Authorizer* const authorizer_;
  const std::shared_ptr<const grpc::AuthContext> connection_;

  Mutex mutex_;
  std::shared_ptr<WatchSession> self_ ABSL_GUARDED_BY(mutex_);
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;  // Finish was called: start nothing any more.
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  v1::WatchResponse written_ ABSL_GUARDED_BY(mutex_);
  WatchFeed feed_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_WATCH_SESSION_H_
