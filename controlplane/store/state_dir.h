// The directory of a store, and the lock that keeps it to one process.

#ifndef SALLYPORT_CONTROLPLANE_STORE_STATE_DIR_H_
#define SALLYPORT_CONTROLPLANE_STORE_STATE_DIR_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace sallyport {

// Makes it, with mode 0700, if it is not there.
absl::Status MakeStateDir(const std::string& state_dir);

// Held until the descriptor is closed, or the process ends, however it ends.
absl::StatusOr<UniqueFd> LockStateDir(const std::string& state_dir);

std::string DatabasePath(const std::string& state_dir);
// Of the key by which the database's secrets are encrypted.
std::string SecretsKeyPath(const std::string& state_dir);

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_STORE_STATE_DIR_H_
