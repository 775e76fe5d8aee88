// The store of a sallyportd that does not run.

#ifndef SALLYPORT_CONTROLPLANE_STORE_OFFLINE_H_
#define SALLYPORT_CONTROLPLANE_STORE_OFFLINE_H_

#include <string>

#include "absl/status/statusor.h"
#include "controlplane/store/state.h"

namespace sallyport {

// Both refuse a directory that a sallyportd uses (FAILED_PRECONDITION).

// What the store there holds. NOT_FOUND if there is none.
absl::StatusOr<State> ReadStateDir(const std::string& state_dir);

// Makes the store there hold what the backup does, and returns that, with its new epoch and
// revision. What was there, be it whole or damaged, is kept beside it as controlplane.db.replaced.
absl::StatusOr<State> RestoreStateDir(const std::string& state_dir, const State& backup);

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_STORE_OFFLINE_H_
