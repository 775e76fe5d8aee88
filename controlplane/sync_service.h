// PolicySync: the agents' streams.

#ifndef SALLYPORT_CONTROLPLANE_SYNC_SERVICE_H_
#define SALLYPORT_CONTROLPLANE_SYNC_SERVICE_H_

#include "controlplane/control_plane.h"
#include "controlplane/sync_session.h"
#include "proto/sallyport/v1/sync.grpc.pb.h"

namespace sallyport {

// Thread-safe.
class SyncService final : public v1::PolicySync::CallbackService {
 public:
  explicit SyncService(const ControlPlane* control_plane) : control_plane_(control_plane) {}

  grpc::ServerBidiReactor<v1::SyncRequest, v1::SyncResponse>* Sync(
      grpc::CallbackServerContext* context) override {
    return SyncSession::Start(control_plane_, context->auth_context());
  }

 private:
  const ControlPlane* const control_plane_;
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_SYNC_SERVICE_H_
