#include "controlplane/store/sqlite_schema.h"

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport {
namespace {

// "SLYP", in the file's header.
constexpr int kApplicationId = 0x534c5950;

std::string CreateTable(Change::Table table) {
  return StrCat("CREATE TABLE ", TableName(table),
                " (key TEXT PRIMARY KEY, revision INTEGER NOT NULL, value BLOB NOT NULL,",
                " checksum INTEGER NOT NULL) WITHOUT ROWID;");
}

}  // namespace

const char* TableName(Change::Table table) {
  switch (table) {
    case Change::Table::kClasses:
      return "classes";
    case Change::Table::kContainers:
      return "containers";
    case Change::Table::kHandlers:
      return "handlers";
    case Change::Table::kPlacements:
      return "placements";
    case Change::Table::kRequests:
      return "requests";
    case Change::Table::kSecrets:
      return "secrets";
    case Change::Table::kIdentityKeys:
      return "identity_keys";
  }
  SALLYPORT_CHECK(false);
}

// FNV-1a, 64 bits: against accidents, not against an attacker, who could write the checksum too.
int64_t RowChecksum(Change::Table table, std::string_view key, uint64_t revision,
                    std::string_view value) {
  uint64_t hash = 0xcbf29ce484222325;
  const auto add = [&hash](std::string_view bytes) {
    for (const char byte : bytes) hash = (hash ^ static_cast<uint8_t>(byte)) * 0x100000001b3;
  };
  add(StrCat(static_cast<int>(table), "|", key.size(), "|", revision, "|"));
  add(key);
  add(value);
  return static_cast<int64_t>(hash);
}

absl::Status WriteSchema(SqliteDatabase* database, uint64_t epoch, uint64_t revision) {
  std::string sql = StrCat("PRAGMA application_id = ", kApplicationId,
                           "; CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) ",
                           "WITHOUT ROWID;");
  for (const Change::Table table : kTables) sql += CreateTable(table);
  // SQLite's integers are signed: the epoch is stored as the same 64 bits.
  sql +=
      StrCat("INSERT INTO meta VALUES ('schema_version', ", kSchemaVersion, "), ('epoch', ",
             static_cast<int64_t>(epoch), "), ('revision', ", static_cast<int64_t>(revision), ");");
  return database->Execute(StrCat("BEGIN IMMEDIATE; ", sql, " COMMIT"));
}

absl::Status CheckSchema(const SqliteDatabase& database) {
  ASSIGN_OR_RETURN(const std::string id, database.QueryText("PRAGMA application_id"));
  if (id != StrCat(kApplicationId)) {
    return absl::FailedPreconditionError("it is not a Sallyport database");
  }
  ASSIGN_OR_RETURN(const std::string check, database.QueryText("PRAGMA quick_check(1)"));
  if (check != "ok") return absl::DataLossError(check);
  ASSIGN_OR_RETURN(const int64_t version, ReadMeta(database, "schema_version"));
  if (version >= 1 && version <= kSchemaVersion) return absl::OkStatus();
  return absl::FailedPreconditionError(StrCat("it has schema ", version,
                                              ", and this sallyportd reads schema ", kSchemaVersion,
                                              " and older ones"));
}

absl::StatusOr<int64_t> ReadMeta(const SqliteDatabase& database, const std::string& key) {
  ASSIGN_OR_RETURN(SqliteStatement statement,
                   SqliteStatement::Prepare(database, "SELECT value FROM meta WHERE key = ?"));
  statement.BindText(1, key);
  ASSIGN_OR_RETURN(const bool found, statement.Step());
  if (!found) return absl::DataLossError(StrCat("it has no ", key));
  return statement.Int(0);
}

absl::Status Migrate(SqliteDatabase* database) {
  ASSIGN_OR_RETURN(const int64_t version, ReadMeta(*database, "schema_version"));
  if (version == kSchemaVersion) return absl::OkStatus();
  return database->Execute(
      StrCat("BEGIN IMMEDIATE; ", version < 2 ? CreateTable(Change::Table::kRequests) : "",
             version < 3 ? CreateTable(Change::Table::kSecrets) : "",
             version < 4 ? CreateTable(Change::Table::kIdentityKeys) : "",
             "UPDATE meta SET value = ", kSchemaVersion, " WHERE key = 'schema_version'; COMMIT"));
}

}  // namespace sallyport
