// The little of SQLite that the store needs, with owners for its handles and sentences for its
// errors.

#ifndef SALLYPORT_CONTROLPLANE_STORE_SQLITE_H_
#define SALLYPORT_CONTROLPLANE_STORE_SQLITE_H_

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sallyport {

// One connection. Not thread-safe.
class SqliteDatabase {
 public:
  enum class Mode { kExisting, kCreate };
  static absl::StatusOr<SqliteDatabase> Open(const std::string& path, Mode mode);

  // A read-only database of the bytes of a file, which must stay.
  static absl::StatusOr<SqliteDatabase> OpenImage(const std::string& bytes);
  // The bytes of the file that a database in memory would be.
  absl::StatusOr<std::string> Serialize() const;

  // Whether closing moves the log into the database and deletes it. On, unless this is called.
  void SetTidyOnClose(bool on);

  // Runs statements that give no rows (or whose rows do not matter).
  absl::Status Execute(const std::string& sql);
  // The first column of the first row; "" if there is none.
  absl::StatusOr<std::string> QueryText(const std::string& sql) const;

  sqlite3* handle() const { return handle_.get(); }
  const std::string& path() const { return path_; }

 private:
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };
  SqliteDatabase(std::unique_ptr<sqlite3, Close> handle, std::string path)
      : handle_(std::move(handle)), path_(std::move(path)) {}

  std::unique_ptr<sqlite3, Close> handle_;
  std::string path_;
};

// One prepared statement; may be run many times. Must not outlive its database. Not thread-safe.
class SqliteStatement {
 public:
  static absl::StatusOr<SqliteStatement> Prepare(const SqliteDatabase& database,
                                                 const std::string& sql);

  // Parameters count from 1, columns from 0.
  void BindInt(int parameter, int64_t value);
  // The text must stay until the statement has run.
  void BindText(int parameter, std::string_view value);
  void BindBlob(int parameter, std::string_view value);

  // True: there is a row.
  absl::StatusOr<bool> Step();
  int64_t Int(int column) const;
  std::string Bytes(int column) const;

  // Runs it to its end and makes it ready for the next time.
  absl::Status Run();

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* handle) const { sqlite3_finalize(handle); }
  };
  explicit SqliteStatement(std::unique_ptr<sqlite3_stmt, Finalize> handle)
      : handle_(std::move(handle)) {}

  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

// UNAVAILABLE for what may pass (disk full, I/O error), DATA_LOSS for a damaged file, INTERNAL for
// the rest. `handle` may be null.
absl::Status SqliteError(sqlite3* handle, int code);

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_STORE_SQLITE_H_
