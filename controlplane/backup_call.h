// One Maintenance.Backup: makes the file off gRPC's threads, then sends it piece by piece.

#ifndef SALLYPORT_CONTROLPLANE_BACKUP_CALL_H_
#define SALLYPORT_CONTROLPLANE_BACKUP_CALL_H_

#include <grpcpp/support/server_callback.h>

#include <string>

#include "controlplane/control_plane.h"
#include "controlplane/maintenance_slot.h"
#include "controlplane/work_queue.h"
#include "proto/sallyport/v1/maintenance.pb.h"

namespace sallyport {

// Owns itself until gRPC is done with it. One thing is under way at a time: making the file, then
// one write after the other.
class BackupCall final : public grpc::ServerWriteReactor<v1::BackupResponse> {
 public:
  BackupCall(const ControlPlane* control_plane, WorkQueue* work, MaintenanceSlots* slots);

  void OnWriteDone(bool ok) override;
  void OnDone() override;

 private:
  void MakeFile();
  void SendNext();
  // Nothing of this may be touched after it.
  void End(grpc::Status status);

  const ControlPlane* const control_plane_;
  MaintenanceSlot slot_;
  std::string file_;
  size_t sent_ = 0;
  v1::BackupResponse piece_;
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_BACKUP_CALL_H_
