#include "controlplane/store/sqlite.h"

#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport {

absl::Status SqliteError(sqlite3* handle, int code) {
  const std::string detail = handle == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(handle);
  switch (code & 0xff) {  // The rest are bits of extended codes.
    case SQLITE_FULL:
      return absl::UnavailableError(
          "the store's disk is full; nothing was changed; free some space and try again");
    case SQLITE_IOERR:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
      return absl::UnavailableError(
          StrCat("the store cannot be written (", detail, "); nothing was changed"));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::UnavailableError("another program has the store's database open");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(StrCat("the store's database is damaged (", detail, ")"));
    default:
      return absl::InternalError(StrCat("SQLite: ", detail));
  }
}

absl::StatusOr<SqliteDatabase> SqliteDatabase::Open(const std::string& path, Mode mode) {
  sqlite3* raw = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
                    (mode == Mode::kCreate ? SQLITE_OPEN_CREATE : 0);
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
  std::unique_ptr<sqlite3, Close> handle(raw);  // Also set when it fails.
  if (code != SQLITE_OK) return SqliteError(handle.get(), code);
  sqlite3_extended_result_codes(handle.get(), 1);
  return SqliteDatabase(std::move(handle), path);
}

absl::StatusOr<SqliteDatabase> SqliteDatabase::OpenImage(const std::string& bytes) {
  ASSIGN_OR_RETURN(SqliteDatabase database, Open(":memory:", Mode::kCreate));
  // Somebody else may have made the file: nothing in its schema may run functions.
  sqlite3_db_config(database.handle(), SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(database.handle(), SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  auto* const data = reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
  const auto size = static_cast<sqlite3_int64>(bytes.size());
  const int code =
      sqlite3_deserialize(database.handle(), "main", data, size, size, SQLITE_DESERIALIZE_READONLY);
  if (code != SQLITE_OK) return SqliteError(database.handle(), code);
  return database;
}

absl::StatusOr<std::string> SqliteDatabase::Serialize() const {
  sqlite3_int64 size = 0;
  const std::unique_ptr<unsigned char, void (*)(void*)> bytes(
      sqlite3_serialize(handle_.get(), "main", &size, 0), &sqlite3_free);
  if (bytes == nullptr) return absl::ResourceExhaustedError("not enough memory for the database");
  return std::string(reinterpret_cast<const char*>(bytes.get()), static_cast<size_t>(size));
}

void SqliteDatabase::SetTidyOnClose(bool on) {
  sqlite3_db_config(handle_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, on ? 0 : 1, nullptr);
}

absl::Status SqliteDatabase::Execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : SqliteError(handle_.get(), code);
}

absl::StatusOr<std::string> SqliteDatabase::QueryText(const std::string& sql) const {
  ASSIGN_OR_RETURN(SqliteStatement statement, SqliteStatement::Prepare(*this, sql));
  ASSIGN_OR_RETURN(const bool row, statement.Step());
  return row ? statement.Bytes(0) : std::string();
}

absl::StatusOr<SqliteStatement> SqliteStatement::Prepare(const SqliteDatabase& database,
                                                         const std::string& sql) {
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v2(database.handle(), sql.c_str(), -1, &raw, nullptr);
  if (code != SQLITE_OK) return SqliteError(database.handle(), code);
  return SqliteStatement(std::unique_ptr<sqlite3_stmt, Finalize>(raw));
}

void SqliteStatement::BindInt(int parameter, int64_t value) {
  sqlite3_bind_int64(handle_.get(), parameter, value);
}

void SqliteStatement::BindText(int parameter, std::string_view value) {
  sqlite3_bind_text64(handle_.get(), parameter, value.data(), value.size(), SQLITE_STATIC,
                      SQLITE_UTF8);
}

void SqliteStatement::BindBlob(int parameter, std::string_view value) {
  // A null pointer would store NULL instead of an empty blob.
  sqlite3_bind_blob64(handle_.get(), parameter, value.empty() ? "" : value.data(), value.size(),
                      SQLITE_STATIC);
}

absl::StatusOr<bool> SqliteStatement::Step() {
  const int code = sqlite3_step(handle_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return SqliteError(sqlite3_db_handle(handle_.get()), code);
}

int64_t SqliteStatement::Int(int column) const {
  return sqlite3_column_int64(handle_.get(), column);
}

std::string SqliteStatement::Bytes(int column) const {
  const void* data = sqlite3_column_blob(handle_.get(), column);
  const int size = sqlite3_column_bytes(handle_.get(), column);
  return data == nullptr ? std::string() : std::string(static_cast<const char*>(data), size);
}

absl::Status SqliteStatement::Run() {
  absl::Status status = absl::OkStatus();
  while (true) {
    const absl::StatusOr<bool> row = Step();
    if (row.ok() && *row) continue;
    if (!row.ok()) status = row.status();
    break;
  }
  sqlite3_reset(handle_.get());
  return status;
}

}  // namespace sallyport
