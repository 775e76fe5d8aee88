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
#include <vector>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/base/unique_fd.h"
#include "controlplane/store/sqlite.h"
#include "controlplane/store/sqlite_schema.h"

namespace sallyport {
namespace {

namespace fs = std::filesystem;

// Made by OpenSqliteStore.
class SqliteStorage final : public Storage {
 public:
  SqliteStorage(UniqueFd lock, SqliteDatabase database, struct stat identity)
      : lock_(std::move(lock)), database_(std::move(database)), identity_(identity) {}

  absl::Status Commit(uint64_t revision, const std::vector<Change>& changes) override {
    if (!broken_.ok()) return broken_;
    absl::Status status = CheckInPlace();
    if (status.ok()) status = database_.Execute("BEGIN IMMEDIATE");
    if (status.ok()) status = WriteAndCommit(revision, changes);
    if (status.ok()) return status;
    sqlite3_exec(database_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
    Judge(sqlite3_extended_errcode(database_.handle()), status);
    return absl::UnavailableError(status.message());
  }

 private:
  // A database that was deleted or replaced under us still takes commits, which nobody would find
  // again.
  absl::Status CheckInPlace() {
    struct stat now = {};
    if (::stat(database_.path().c_str(), &now) == 0 && now.st_ino == identity_.st_ino &&
        now.st_dev == identity_.st_dev) {
      return absl::OkStatus();
    }
    return absl::UnavailableError(StrCat("the database ", database_.path(),
                                         " was moved or deleted while in use: put it back, or ",
                                         "restart sallyportd; nothing was changed"));
  }

  absl::Status WriteAndCommit(uint64_t revision, const std::vector<Change>& changes) {
    for (const Change& change : changes) RETURN_IF_ERROR(WriteRow(revision, change));
    ASSIGN_OR_RETURN(
        SqliteStatement statement,
        SqliteStatement::Prepare(database_, "UPDATE meta SET value = ? WHERE key = 'revision'"));
    statement.BindInt(1, static_cast<int64_t>(revision));
    RETURN_IF_ERROR(statement.Run());
    return database_.Execute("COMMIT");
  }

  absl::Status WriteRow(uint64_t revision, const Change& change) {
    const std::string table = TableName(change.table);
    if (!change.value.has_value()) {
      ASSIGN_OR_RETURN(
          SqliteStatement statement,
          SqliteStatement::Prepare(database_, StrCat("DELETE FROM ", table, " WHERE key = ?")));
      statement.BindText(1, change.key);
      return statement.Run();
    }
    ASSIGN_OR_RETURN(SqliteStatement statement,
                     SqliteStatement::Prepare(database_, StrCat("INSERT OR REPLACE INTO ", table,
                                                                " VALUES (?, ?, ?, ?)")));
    statement.BindText(1, change.key);
    statement.BindInt(2, static_cast<int64_t>(revision));
    statement.BindBlob(3, *change.value);
    statement.BindInt(4, RowChecksum(change.table, change.key, revision, *change.value));
    return statement.Run();
  }

  // After a failed fsync the kernel may have dropped the dirty pages: a later fsync that succeeds
  // proves nothing. So no more writes; the next start reads what really is on the disk.
  void Judge(int code, const absl::Status& status) {
    const int primary = code & 0xff;
    if (primary == SQLITE_IOERR || primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB) {
      broken_ = absl::UnavailableError(
          StrCat("the store takes no more changes after an error (", ToStd(status.message()),
                 "): check the disk, then restart sallyportd; nothing was changed"));
    }
  }

  const UniqueFd lock_;
  SqliteDatabase database_;
  const struct stat identity_;
  absl::Status broken_;
};

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
  struct stat identity = {};
  if (::stat(path.c_str(), &identity) != 0) {
    return absl::UnavailableError(StrCat("cannot read ", path, ": ", strerror(errno)));
  }
  return std::make_unique<Store>(
      std::make_unique<SqliteStorage>(std::move(lock), std::move(database), identity),
      std::move(state));
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
