#include "controlplane/store/sqlite_store.h"

#include <filesystem>
#include <optional>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/base/unique_fd.h"
#include "controlplane/store/high_water_mark.h"
#include "controlplane/store/sqlite_file.h"
#include "controlplane/store/sqlite_schema.h"
#include "controlplane/store/sqlite_storage.h"
#include "controlplane/store/state_dir.h"

namespace sallyport {
namespace {

namespace fs = std::filesystem;

absl::Status MakeEmpty(const std::string& path) {
  if (fs::exists(path + "-wal")) {
    return absl::DataLossError(StrCat(
        path, " is missing, but its log ", path,
        "-wal is there: restore the database with `sallyportd restore --state-dir`, or move ",
        "the log away to begin with an empty store; nothing was changed"));
  }
  HighWaterMark::Remove(path);
  State empty;
  empty.epoch = RandomEpoch();
  return CreateDatabase(path, empty);
}

absl::StatusOr<std::unique_ptr<Store>> OpenStore(const std::string& state_dir,
                                                 std::optional<int> max_pages) {
  RETURN_IF_ERROR(MakeStateDir(state_dir));
  ASSIGN_OR_RETURN(UniqueFd lock, LockStateDir(state_dir));
  const std::string path = DatabasePath(state_dir);
  RETURN_IF_ERROR(FinishReplacing(path));
  if (!fs::exists(path)) RETURN_IF_ERROR(MakeEmpty(path));
  ASSIGN_OR_RETURN(OpenedDatabase opened, OpenDatabase(path));
  auto& [database, state] = opened;
  absl::StatusOr<HighWaterMark> mark = HighWaterMark::Open(path, state);
  if (!mark.ok()) {
    return absl::IsDataLoss(mark.status()) ? Damaged(path, ToStd(mark.status().message()))
                                           : mark.status();
  }
  if (max_pages.has_value()) {
    RETURN_IF_ERROR(database.Execute(StrCat("PRAGMA max_page_count = ", *max_pages)));
  }
  RETURN_IF_ERROR(Migrate(&database));
  ASSIGN_OR_RETURN(
      std::unique_ptr<Storage> storage,
      SqliteStorage::Make(std::move(lock), *std::move(mark), std::move(database), state.epoch));
  return std::make_unique<Store>(std::move(storage), std::move(state));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStore(const std::string& state_dir) {
  return OpenStore(state_dir, std::nullopt);
}

absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStoreOfAtMost(const std::string& state_dir,
                                                               int max_pages) {
  return OpenStore(state_dir, max_pages);
}

}  // namespace sallyport
