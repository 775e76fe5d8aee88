#include "controlplane/restore_call.h"

#include <memory>
#include <utility>

#include "common/base/log.h"
#include "controlplane/rpc_status.h"
#include "controlplane/store/backup.h"
#include "controlplane/store/sqlite_file.h"

namespace sallyport {
namespace {

constexpr size_t kMaxPieceBytes = 1 << 20;

grpc::Status Invalid(const char* why) {
  return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, why);
}

}  // namespace

RestoreCall::RestoreCall(const ControlPlane* control_plane, WorkQueue* work,
                         MaintenanceSlots* slots, v1::RestoreResponse* response)
    : control_plane_(control_plane), work_(work), slot_(slots), response_(response) {
  if (slot_.taken()) {
    StartRead(&piece_);
  } else {
    End(MaintenanceSlots::Busy());
  }
}

void RestoreCall::OnReadDone(bool ok) {
  if (!ok) return End(Invalid("the stream ended before its last piece; nothing was changed"));
  if (piece_.data().size() > kMaxPieceBytes) {
    return End(Invalid("data: a piece is larger than 1 MiB; nothing was changed"));
  }
  if (file_.size() + piece_.data().size() > kMaxBackupBytes) {
    return End(Invalid("the backup is larger than 1 GiB; nothing was changed"));
  }
  file_ += piece_.data();
  if (!piece_.last()) return StartRead(&piece_);
  if (!work_->Run([this] { Check(); })) End(MaintenanceSlots::Busy());
}

void RestoreCall::Check() {
  absl::StatusOr<State> backup = ReadBackup(file_);
  if (!backup.ok()) return End(ToGrpc(backup.status()));
  const auto state = std::make_shared<const State>(*std::move(backup));
  const bool accepted = control_plane_->writer->Write(
      [this, state](Transaction& transaction) {
        if (cancelled_) return absl::CancelledError();
        transaction.Restore(*state, RandomEpoch());
        return absl::OkStatus();
      },
      [this](const Store::Written& written) { Restored(written); });
  if (!accepted) {
    End(grpc::Status(grpc::StatusCode::UNAVAILABLE,
                     "the store is behind; nothing was changed; try again"));
  }
}

void RestoreCall::Restored(const Store::Written& written) {
  if (!written.ok()) return End(ToGrpc(written.status()));
  const State& state = **written;
  LogWarning("the store was restored from a backup: revision ", state.revision, ", ",
             state.classes.size(), " classes, ", state.containers.size(), " containers, ",
             state.handlers.size(), " handlers; every agent begins anew");
  // Streams that are still open may send nothing of the new epoch (sync_session.cc).
  control_plane_->hub->StopAll("the store was restored from a backup; connect again");
  control_plane_->waiters->StartOver();
  response_->set_revision(state.revision);
  response_->set_epoch(state.epoch);
  response_->set_classes(state.classes.size());
  response_->set_containers(state.containers.size());
  response_->set_handlers(state.handlers.size());
  End(grpc::Status::OK);
}

void RestoreCall::End(grpc::Status status) {
  // Whoever hears of the end may begin the next at once.
  file_ = {};
  slot_.GiveBack();
  Finish(std::move(status));
}

void RestoreCall::OnDone() { delete this; }

}  // namespace sallyport
