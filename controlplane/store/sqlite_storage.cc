#include "controlplane/store/sqlite_storage.h"

#include <sys/stat.h>

#include <utility>

#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "controlplane/store/sqlite_schema.h"

namespace sallyport {
namespace {

// 4 KiB each. More makes the moves rarer, and each one longer.
constexpr int kLogPages = 1000;
// What the log's file is cut to after a change that was larger.
constexpr int kLogBytes = 16 << 20;

}  // namespace

absl::StatusOr<std::unique_ptr<Storage>> SqliteStorage::Make(UniqueFd lock, HighWaterMark mark,
                                                             SqliteDatabase database,
                                                             uint64_t epoch) {
  std::unique_ptr<SqliteStorage> storage(
      new SqliteStorage(std::move(lock), std::move(mark), std::move(database), epoch));
  RETURN_IF_ERROR(storage->Prepare());
  return storage;
}

SqliteStorage::SqliteStorage(UniqueFd lock, HighWaterMark mark, SqliteDatabase database,
                             uint64_t epoch)
    : lock_(std::move(lock)),
      mark_(std::move(mark)),
      database_(std::move(database)),
      identity_(Identify(database_.path())),
      log_identity_(Identify(LogPath())),
      epoch_(epoch) {}

absl::Status SqliteStorage::Prepare() {
  RETURN_IF_ERROR(database_.Execute(
      StrCat("PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = ", kLogBytes)));
  database_.SetTidyOnClose(true);
  sqlite3_wal_hook(database_.handle(), &SqliteStorage::NoteLog, this);
  for (const Change::Table table : kTables) {
    const std::string name = TableName(table);
    ASSIGN_OR_RETURN(SqliteStatement put,
                     SqliteStatement::Prepare(database_, StrCat("INSERT OR REPLACE INTO ", name,
                                                                " VALUES (?, ?, ?, ?)")));
    ASSIGN_OR_RETURN(
        SqliteStatement remove,
        SqliteStatement::Prepare(database_, StrCat("DELETE FROM ", name, " WHERE key = ?")));
    tables_.emplace(table, TableStatements{std::move(put), std::move(remove)});
  }
  ASSIGN_OR_RETURN(set_meta_,
                   SqliteStatement::Prepare(database_, "UPDATE meta SET value = ? WHERE key = ?"));
  ASSIGN_OR_RETURN(begin_, SqliteStatement::Prepare(database_, "BEGIN IMMEDIATE"));
  ASSIGN_OR_RETURN(commit_, SqliteStatement::Prepare(database_, "COMMIT"));
  return absl::OkStatus();
}

std::optional<SqliteStorage::FileId> SqliteStorage::Identify(const std::string& path) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) return std::nullopt;
  return FileId{info.st_dev, info.st_ino};
}

absl::Status SqliteStorage::Commit(const State& after, const std::vector<Change>& changes) {
  if (!broken_.ok()) return broken_;
  RETURN_IF_ERROR(CheckInPlace());
  absl::Status status = begin_->Run();
  if (status.ok()) status = WriteAndCommit(after, changes);
  if (status.ok()) {
    epoch_ = after.epoch;
    mark_.Set(after.epoch, after.revision);
    if (!log_identity_.has_value()) log_identity_ = Identify(LogPath());
    return status;
  }
  // Before the rollback, which has an outcome of its own.
  const int code = sqlite3_extended_errcode(database_.handle());
  Judge(code, status);
  // The log has room again when it is moved, and the database may not need to grow for that.
  if ((code & 0xff) == SQLITE_FULL) log_pages_ = kLogPages;
  sqlite3_exec(database_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  if (code == SQLITE_IOERR_FSYNC) {
    return absl::UnavailableError(
        "the disk did not confirm the change: whether it was stored shows when sallyportd is "
        "restarted; until then it is not in force");
  }
  return broken_.ok() ? absl::UnavailableError(status.message()) : broken_;
}

// A database that was deleted or replaced under us still takes commits, which nobody would find
// again.
absl::Status SqliteStorage::CheckInPlace() {
  if (Identify(database_.path()) != identity_) {
    return absl::UnavailableError(StrCat("the database ", database_.path(),
                                         " was moved or deleted while in use: put it back, or ",
                                         "restart sallyportd; nothing was changed"));
  }
  if (!log_identity_.has_value() || Identify(LogPath()) == log_identity_) return absl::OkStatus();
  // What was answered for and is only in the log, which is still open here, goes into the database.
  const int moved = sqlite3_wal_checkpoint_v2(database_.handle(), nullptr,
                                              SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  Break(StrCat(LogPath(), " was moved or deleted while in use; what it held ",
               moved == SQLITE_OK ? "is safe in the database" : "could not be saved"));
  return broken_;
}

absl::Status SqliteStorage::WriteAndCommit(const State& after, const std::vector<Change>& changes) {
  for (const Change& change : changes) RETURN_IF_ERROR(WriteRow(change));
  RETURN_IF_ERROR(SetMeta("revision", after.revision));
  if (after.epoch != epoch_) {
    RETURN_IF_ERROR(SetMeta("epoch", after.epoch));
    RETURN_IF_ERROR(mark_.Clear());
  }
  return commit_->Run();
}

absl::Status SqliteStorage::WriteRow(const Change& change) {
  TableStatements& statements = tables_.at(change.table);
  if (!change.value.has_value()) {
    statements.remove.BindText(1, change.key);
    return statements.remove.Run();
  }
  SqliteStatement& put = statements.put;
  put.BindText(1, change.key);
  put.BindInt(2, static_cast<int64_t>(change.revision));
  put.BindBlob(3, *change.value);
  put.BindInt(4, RowChecksum(change.table, change.key, change.revision, *change.value));
  return put.Run();
}

absl::Status SqliteStorage::SetMeta(const std::string& key, uint64_t value) {
  set_meta_->BindInt(1, static_cast<int64_t>(value));
  set_meta_->BindText(2, key);
  return set_meta_->Run();
}

void SqliteStorage::Tidy() {
  if (!broken_.ok()) return;
  const absl::Status in_place = CheckInPlace();
  if (in_place.ok() == misplaced_ && broken_.ok()) {
    misplaced_ = !in_place.ok();
    misplaced_ ? LogError(in_place.message()) : LogInfo("the database is back in its place");
  }
  if (misplaced_ || log_pages_ < kLogPages || !broken_.ok()) return;
  int pages = 0;
  int moved = 0;
  const int code = sqlite3_wal_checkpoint_v2(database_.handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE,
                                             &pages, &moved);
  if (code == SQLITE_OK) {
    tidy_failed_ = false;
    if (pages == moved) log_pages_ = 0;  // The next commit begins at its start.
    return;
  }
  const absl::Status status = SqliteError(database_.handle(), code);
  Judge(sqlite3_extended_errcode(database_.handle()), status);
  // The log has everything: with a disk that is full, it is tried again after the next commit.
  if (!std::exchange(tidy_failed_, true)) {
    LogWarning("the store's log is not moved into its database: ", status.message());
  }
}

// After a failed fsync the kernel may have dropped the dirty pages: a later fsync that succeeds
// proves nothing. So no more writes; the next start reads what really is on the disk.
void SqliteStorage::Judge(int code, const absl::Status& status) {
  const int primary = code & 0xff;
  if (primary == SQLITE_IOERR || primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB) {
    Break(ToStd(status.message()));
  }
}

void SqliteStorage::Break(std::string_view why) {
  broken_ = absl::UnavailableError(StrCat(
      "the store takes no more changes after an error (", why,
      "): check the disk, then restart sallyportd; nothing was changed, and what was answered ",
      "before stays in force"));
  database_.SetTidyOnClose(false);
  LogError(broken_.message());
}

int SqliteStorage::NoteLog(void* self, sqlite3*, const char*, int pages) {
  static_cast<SqliteStorage*>(self)->log_pages_ = pages;
  return SQLITE_OK;
}

}  // namespace sallyport
