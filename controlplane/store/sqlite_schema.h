// The tables of a store's database: making them and checking that they are there. See
// sqlite_store.h for the format.

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

// Of this program. It reads older ones, too: 1 has no table of requests, 2 none of secrets, 3 none
// of identity keys, 4 no ephemeral placements.
inline constexpr int kSchemaVersion = 5;

inline constexpr Change::Table kTables[] = {Change::Table::kClasses,     Change::Table::kContainers,
                                            Change::Table::kHandlers,    Change::Table::kPlacements,
                                            Change::Table::kRequests,    Change::Table::kSecrets,
                                            Change::Table::kIdentityKeys};
const char* TableName(Change::Table table);

// Of one row.
int64_t RowChecksum(Change::Table table, std::string_view key, uint64_t revision,
                    std::string_view value);

// Makes the tables, empty, in a database that has none.
absl::Status WriteSchema(SqliteDatabase* database, uint64_t epoch, uint64_t revision);

// Whether the database is ours, whole and of a schema that we read. DATA_LOSS or
// FAILED_PRECONDITION with half a sentence: what is wrong with it.
absl::Status CheckSchema(const SqliteDatabase& database);

// One of schema_version, epoch, revision. DATA_LOSS if it is not there.
absl::StatusOr<int64_t> ReadMeta(const SqliteDatabase& database, const std::string& key);

// Brings a database of an older schema to the present one. Durable and whole when it returns, or as
// before.
absl::Status Migrate(SqliteDatabase* database);

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_STORE_SQLITE_SCHEMA_H_
