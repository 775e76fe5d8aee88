#include "controlplane/store/sqlite_store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/base/unique_fd.h"
#include "controlplane/store/sqlite.h"
#include "controlplane/store/sqlite_schema.h"
#include "controlplane/store/sqlite_storage.h"

namespace sallyport {
namespace {

namespace fs = std::filesystem;

absl::Status MakeStateDir(const std::string& state_dir) {
  std::error_code error;
  if (fs::is_directory(state_dir, error)) return absl::OkStatus();
  fs::create_directories(fs::path(state_dir).parent_path(), error);  // mkdir tells what is wrong.
  if (::mkdir(state_dir.c_str(), 0700) != 0 && errno != EEXIST) {
    return absl::FailedPreconditionError(StrCat("cannot make the state directory ", state_dir, ": ",
                                                strerror(errno),
                                                "; choose another with --state-dir"));
  }
  return absl::OkStatus();
}

// Held until the process ends, however it ends.
absl::StatusOr<UniqueFd> LockStateDir(const std::string& state_dir) {
  const std::string path = StrCat(state_dir, "/lock");
  UniqueFd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.valid()) {
    return absl::FailedPreconditionError(
        StrCat("cannot write in the state directory: ", path, ": ", strerror(errno)));
  }
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(StrCat("another sallyportd uses the state directory ",
                                                state_dir,
                                                ": stop it, or choose another with --state-dir"));
  }
  return lock;
}

absl::StatusOr<std::unique_ptr<Store>> OpenStore(const std::string& state_dir,
                                                 std::optional<int> max_pages) {
  RETURN_IF_ERROR(MakeStateDir(state_dir));
  ASSIGN_OR_RETURN(UniqueFd lock, LockStateDir(state_dir));
  const std::string path = StrCat(state_dir, "/controlplane.db");
  if (!fs::exists(path)) {
    if (fs::exists(path + "-wal")) {
      return absl::DataLossError(
          StrCat(path, " is missing, but its log ", path,
                 "-wal is there: restore the database from a backup, or move the log away to ",
                 "begin with an empty store; nothing was changed"));
    }
    RETURN_IF_ERROR(CreateDatabase(path));
  }
  ASSIGN_OR_RETURN(SqliteDatabase database, OpenDatabase(path));
  if (max_pages.has_value()) {
    RETURN_IF_ERROR(database.Execute(StrCat("PRAGMA max_page_count = ", *max_pages)));
  }
  ASSIGN_OR_RETURN(State state, LoadState(database));
  ASSIGN_OR_RETURN(std::unique_ptr<Storage> storage,
                   SqliteStorage::Make(std::move(lock), std::move(database), state.epoch));
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
