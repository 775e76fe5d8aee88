// One Maintenance.Restore: pieces → whole file → checked state → one transaction → every agent and
// everyone who waits begins anew.

#ifndef SALLYPORT_CONTROLPLANE_RESTORE_CALL_H_
#define SALLYPORT_CONTROLPLANE_RESTORE_CALL_H_

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <string>

#include "controlplane/control_plane.h"
#include "controlplane/maintenance_slot.h"
#include "controlplane/work_queue.h"
#include "proto/sallyport/v1/maintenance.pb.h"

namespace sallyport {

// Owns itself until gRPC is done with it. One thing is under way at a time: a read, the check of
// the file, or the change of the store.
class RestoreCall final : public grpc::ServerReadReactor<v1::RestoreRequest> {
 public:
  RestoreCall(const ControlPlane* control_plane, WorkQueue* work, MaintenanceSlots* slots,
              v1::RestoreResponse* response);

  void OnReadDone(bool ok) override;
  void OnCancel() override { cancelled_ = true; }
  void OnDone() override;

 private:
  void Check();  // On the work queue's thread.
  // After the commit, on the writer's thread.
  void Restored(const Store::Written& written);
  // Nothing of this may be touched after it.
  void End(grpc::Status status);

  const ControlPlane* const control_plane_;
  WorkQueue* const work_;
  MaintenanceSlot slot_;
  v1::RestoreResponse* const response_;
  std::atomic<bool> cancelled_ = false;
  std::string file_;
  v1::RestoreRequest piece_;
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_RESTORE_CALL_H_
