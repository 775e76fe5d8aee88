#include "controlplane/store/offline.h"

#include <filesystem>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/base/unique_fd.h"
#include "controlplane/store/high_water_mark.h"
#include "controlplane/store/sqlite_file.h"
#include "controlplane/store/state_dir.h"
#include "controlplane/store/transaction.h"

namespace sallyport {
namespace {

// What is there, if it can be used.
State Present(const std::string& path) {
  absl::StatusOr<OpenedDatabase> opened = OpenDatabase(path);
  return opened.ok() ? std::move(opened->state) : State();
}

}  // namespace

absl::StatusOr<State> ReadStateDir(const std::string& state_dir) {
  const std::string path = DatabasePath(state_dir);
  if (!std::filesystem::exists(path)) {
    return absl::NotFoundError(StrCat("there is no store in ", state_dir, ": ", path,
                                      " is missing; --state-dir says where it is"));
  }
  ASSIGN_OR_RETURN(const UniqueFd lock, LockStateDir(state_dir));
  RETURN_IF_ERROR(FinishReplacing(path));
  ASSIGN_OR_RETURN(OpenedDatabase opened, OpenDatabase(path));
  return std::move(opened.state);
}

absl::StatusOr<State> RestoreStateDir(const std::string& state_dir, const State& backup) {
  RETURN_IF_ERROR(MakeStateDir(state_dir));
  ASSIGN_OR_RETURN(const UniqueFd lock, LockStateDir(state_dir));
  const std::string path = DatabasePath(state_dir);
  RETURN_IF_ERROR(FinishReplacing(path));
  Transaction transaction(Present(path));
  transaction.Restore(backup, RandomEpoch());
  State state = transaction.Result();
  RETURN_IF_ERROR(ReplaceDatabase(path, state));
  return state;
}

}  // namespace sallyport
