// The database file: making, checking and reading it. See sqlite_store.h for the format.

#ifndef SALLYPORT_CONTROLPLANE_STORE_SQLITE_SCHEMA_H_
#define SALLYPORT_CONTROLPLANE_STORE_SQLITE_SCHEMA_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/store/sqlite.h"
#include "controlplane/store/transaction.h"

namespace sallyport {

// Makes an empty database at `path`, which must not exist, with a new epoch. Durable and whole when
// it returns, or not there.
absl::Status CreateDatabase(const std::string& path);

// Opens the database at `path` and checks that it is ours, whole and of this schema.
absl::StatusOr<SqliteDatabase> OpenDatabase(const std::string& path);

// Reads everything. DATA_LOSS if a row is not what was written.
absl::StatusOr<State> LoadState(const SqliteDatabase& database);

inline constexpr Change::Table kTables[] = {Change::Table::kClasses, Change::Table::kContainers,
                                            Change::Table::kHandlers, Change::Table::kPlacements};
const char* TableName(Change::Table table);
// Of one row.
int64_t RowChecksum(Change::Table table, std::string_view key, uint64_t revision,
                    std::string_view value);

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_STORE_SQLITE_SCHEMA_H_
