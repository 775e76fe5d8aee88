// A backup: a state as one SQLite file, of the same tables as the store's own (sqlite_store.h).
// Made of what is in memory, so that it needs neither the store's disk nor its writer.

#ifndef SALLYPORT_CONTROLPLANE_STORE_BACKUP_H_
#define SALLYPORT_CONTROLPLANE_STORE_BACKUP_H_

#include <string>

#include "absl/status/statusor.h"
#include "controlplane/store/state.h"

namespace sallyport {

inline constexpr size_t kMaxBackupBytes = size_t{1} << 30;

// The bytes of the file. Takes memory for twice as much.
absl::StatusOr<std::string> MakeBackup(const State& state);

// Checks everything before it returns anything: INVALID_ARGUMENT, with a sentence, if the bytes are
// not a whole backup of a schema that this program reads.
absl::StatusOr<State> ReadBackup(const std::string& bytes);

// Reads a backup from a file, and writes one: with mode 0600, whole or not at all.
absl::StatusOr<std::string> ReadBackupFile(const std::string& path);
enum class Overwrite { kNo, kYes };
absl::Status WriteBackupFile(const std::string& path, const std::string& bytes,
                             Overwrite overwrite);

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_STORE_BACKUP_H_
