// Maintenance: backup and restore while the control plane goes on.

#ifndef SALLYPORT_CONTROLPLANE_MAINTENANCE_SERVICE_H_
#define SALLYPORT_CONTROLPLANE_MAINTENANCE_SERVICE_H_

#include "controlplane/backup_call.h"
#include "controlplane/control_plane.h"
#include "controlplane/maintenance_slot.h"
#include "controlplane/restore_call.h"
#include "controlplane/work_queue.h"
#include "proto/sallyport/v1/maintenance.grpc.pb.h"

namespace sallyport {

// Thread-safe.
class MaintenanceService final : public v1::Maintenance::CallbackService {
 public:
  explicit MaintenanceService(const ControlPlane* control_plane) : control_plane_(control_plane) {}

  // The calls own themselves.
  grpc::ServerWriteReactor<v1::BackupResponse>* Backup(grpc::CallbackServerContext*,
                                                       const v1::BackupRequest*) override {
    return new BackupCall(control_plane_, &work_, &slots_);
  }
  grpc::ServerReadReactor<v1::RestoreRequest>* Restore(grpc::CallbackServerContext*,
                                                       v1::RestoreResponse* response) override {
    return new RestoreCall(control_plane_, &work_, &slots_, response);
  }

 private:
  const ControlPlane* const control_plane_;
  MaintenanceSlots slots_;
  // Makes and checks files: seconds of work for a large store, which no gRPC thread must do.
  WorkQueue work_{MaintenanceSlots::kSlots};
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_MAINTENANCE_SERVICE_H_
