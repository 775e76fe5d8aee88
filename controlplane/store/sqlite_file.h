// The database's file: making, opening and replacing it, so that a kill at any time leaves a whole
// one.

#ifndef SALLYPORT_CONTROLPLANE_STORE_SQLITE_FILE_H_
#define SALLYPORT_CONTROLPLANE_STORE_SQLITE_FILE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/store/sqlite.h"
#include "controlplane/store/state.h"

namespace sallyport {

// Errors of these are sentences for the operator.

// Makes a database with this state at `path`, which must not exist. Durable and whole when it
// returns, or not there.
absl::Status CreateDatabase(const std::string& path, const State& state);

// The same, in the place of what is at `path`, which goes to `path`.replaced with its log.
absl::Status ReplaceDatabase(const std::string& path, const State& state);
// Completes a ReplaceDatabase that was killed. To be called before `path` is looked at.
absl::Status FinishReplacing(const std::string& path);

struct OpenedDatabase {
  SqliteDatabase database;
  State state;
};
// Opens the database at `path`, checks that it is ours, whole and of this schema, and reads it.
// Until SetTidyOnClose(true) closing it leaves the files as they are.
absl::StatusOr<OpenedDatabase> OpenDatabase(const std::string& path);

// `why` is half a sentence.
absl::Status Damaged(const std::string& path, std::string_view why);

// Never 0.
uint64_t RandomEpoch();

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_STORE_SQLITE_FILE_H_
