// A whole state out of a database, and into one.

#ifndef SALLYPORT_CONTROLPLANE_STORE_SQLITE_STATE_H_
#define SALLYPORT_CONTROLPLANE_STORE_SQLITE_STATE_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/store/sqlite.h"
#include "controlplane/store/state.h"

namespace sallyport {

// Reads everything. DATA_LOSS, with half a sentence, if a row is not what was written. REQUIRES:
// CheckSchema is content.
absl::StatusOr<State> LoadState(const SqliteDatabase& database);

// Makes the tables, in a database that has none, and fills them.
absl::Status WriteState(const State& state, SqliteDatabase* database);

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_STORE_SQLITE_STATE_H_
