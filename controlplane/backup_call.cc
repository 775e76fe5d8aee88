#include "controlplane/backup_call.h"

#include <algorithm>
#include <utility>

#include "common/base/log.h"
#include "controlplane/rpc_status.h"
#include "controlplane/store/backup.h"

namespace sallyport {
namespace {

constexpr size_t kPieceBytes = 256 << 10;

}  // namespace

BackupCall::BackupCall(const ControlPlane* control_plane, WorkQueue* work, MaintenanceSlots* slots)
    : control_plane_(control_plane), slot_(slots) {
  if (!slot_.taken() || !work->Run([this] { MakeFile(); })) End(MaintenanceSlots::Busy());
}

void BackupCall::MakeFile() {
  const std::shared_ptr<const State> state = control_plane_->store->Read();
  absl::StatusOr<std::string> file = MakeBackup(*state);
  if (!file.ok()) return End(ToGrpc(file.status()));
  file_ = *std::move(file);
  piece_.set_revision(state->revision);
  piece_.set_total_bytes(file_.size());
  LogInfo("a backup of revision ", state->revision, ", ", file_.size(), " bytes, is sent");
  SendNext();
}

void BackupCall::SendNext() {
  const size_t size = std::min(kPieceBytes, file_.size() - sent_);
  piece_.set_data(file_.substr(sent_, size));
  sent_ += size;
  StartWrite(&piece_);
}

void BackupCall::OnWriteDone(bool ok) {
  if (!ok) return End(grpc::Status(grpc::StatusCode::CANCELLED, "the client went away"));
  if (sent_ == file_.size()) return End(grpc::Status::OK);
  SendNext();
}

void BackupCall::End(grpc::Status status) {
  // Whoever hears of the end may begin the next at once.
  file_ = {};
  slot_.GiveBack();
  Finish(std::move(status));
}

void BackupCall::OnDone() { delete this; }

}  // namespace sallyport
