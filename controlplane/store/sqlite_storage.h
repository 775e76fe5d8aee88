// Commits to the database of a store that is open: one SQLite transaction and one fsync each.
//
// The log (DIR/controlplane.db-wal) is moved into the database by Tidy, never by a commit, so that
// no answer waits for it. It grows to a few MiB and is then written anew from its start.

#ifndef SALLYPORT_CONTROLPLANE_STORE_SQLITE_STORAGE_H_
#define SALLYPORT_CONTROLPLANE_STORE_SQLITE_STORAGE_H_

#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"
#include "controlplane/store/high_water_mark.h"
#include "controlplane/store/sqlite.h"
#include "controlplane/store/store.h"

namespace sallyport {

// For one thread at a time, as any Storage.
class SqliteStorage final : public Storage {
 public:
  // `lock` is the state directory's, and held as long as this lives. `epoch` is what the database
  // holds.
  static absl::StatusOr<std::unique_ptr<Storage>> Make(UniqueFd lock, HighWaterMark mark,
                                                       SqliteDatabase database, uint64_t epoch);

  absl::Status Commit(const State& after, const std::vector<Change>& changes) override;
  void Tidy() override;

 private:
  // Which file a name means.
  struct FileId {
    dev_t device = 0;
    ino_t inode = 0;
    friend bool operator==(const FileId&, const FileId&) = default;
  };
  struct TableStatements {
    SqliteStatement put;
    SqliteStatement remove;
  };

  SqliteStorage(UniqueFd lock, HighWaterMark mark, SqliteDatabase database, uint64_t epoch);
  absl::Status Prepare();
  static std::optional<FileId> Identify(const std::string& path);
  std::string LogPath() const { return database_.path() + "-wal"; }

  absl::Status CheckInPlace();
  absl::Status WriteAndCommit(const State& after, const std::vector<Change>& changes);
  absl::Status WriteRow(const Change& change);
  absl::Status SetMeta(const std::string& key, uint64_t value);
  // What an error of SQLite means for the commits to come.
  void Judge(int code, const absl::Status& status);
  void Break(std::string_view why);
  // Pages in the log after a commit; SQLite calls it.
  static int NoteLog(void* self, sqlite3*, const char*, int pages);

  const UniqueFd lock_;
  HighWaterMark mark_;
  SqliteDatabase database_;
  const std::optional<FileId> identity_;
  std::optional<FileId> log_identity_;  // Once there is a log.
  uint64_t epoch_;
  int log_pages_ = 0;
  bool tidy_failed_ = false;
  bool misplaced_ = false;
  absl::Status broken_;

  // Destroyed before the database.
  std::map<Change::Table, TableStatements> tables_;
  std::optional<SqliteStatement> set_meta_;
  std::optional<SqliteStatement> begin_;
  std::optional<SqliteStatement> commit_;
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_STORE_SQLITE_STORAGE_H_
