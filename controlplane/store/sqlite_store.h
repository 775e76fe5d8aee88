// The store in one SQLite file, DIR/controlplane.db.
//
//   meta       key, value: schema_version, epoch, revision
//   classes    key, revision, value, checksum       value: a serialized ContainerClass
//   containers the same, of ContainerPolicy
//   handlers   the same, of Handler
//   placements the same: container id → host name, and since schema 5 " ephemeral" behind it if its
//              record goes with it. A container that has no record is one that a restore took away
//              while it was attached.
//   requests   the same: request id → "NUMBER REVISION FINGERPRINT"; since schema 2
//   secrets    the same: name → what SecretSealer made of the value; since schema 3
//   identity_keys  the same: host name → a serialized IdentityKeys; since schema 4. Not in backups:
//              agents bring them
//
// Write-ahead log, synchronous=FULL: a commit returns after its fsync. Checksums cover key,
// revision and value, because SQLite's quick_check does not look inside of values and a flipped bit
// in a policy must not go unseen; DIR/controlplane.db-revision says how far the log must at least
// go (high_water_mark.h). A new database is made beside its final name and renamed, so that a kill
// at any time leaves either none or a whole one.

#ifndef SALLYPORT_CONTROLPLANE_STORE_SQLITE_STORE_H_
#define SALLYPORT_CONTROLPLANE_STORE_SQLITE_STORE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "controlplane/store/store.h"

namespace sallyport {

// Opens the store in `state_dir`, or makes directory (mode 0700) and store if there is none.
// Refuses, and leaves everything as it is: a directory that another process uses
// (FAILED_PRECONDITION), a database that is damaged, truncated or empty (DATA_LOSS), of another
// program or a newer schema (FAILED_PRECONDITION). The message says what to do. A database of an
// older schema is brought to the present one, in one transaction, after all of it was read.
absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStore(const std::string& state_dir);

// For tests of a full disk: as OpenSqliteStore, and the database never grows beyond `max_pages`
// pages of 4 KiB.
absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStoreOfAtMost(const std::string& state_dir,
                                                               int max_pages);

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_STORE_SQLITE_STORE_H_
