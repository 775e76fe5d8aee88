// A file beside the database that says which revision was answered for last, so that a store that
// lost changes is noticed: SQLite takes a damaged or shortened log for one that was not finished,
// and goes on with what came before.
//
// 32 bytes: "sallyrev", then epoch, revision and checksum, 8 bytes each, little-endian. Written
// after each commit and not synced: it survives a kill, and is at most older after a loss of power.
// Older is not another epoch: before a change of epoch it is cleared, and that is synced.

#ifndef SALLYPORT_CONTROLPLANE_STORE_HIGH_WATER_MARK_H_
#define SALLYPORT_CONTROLPLANE_STORE_HIGH_WATER_MARK_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"
#include "controlplane/store/state.h"

namespace sallyport {

// Not thread-safe.
class HighWaterMark {
 public:
  // Opens or makes the mark of the database at `database_path`. DATA_LOSS, with half a sentence, if
  // it says more than `loaded` has. A mark that is damaged itself says nothing.
  static absl::StatusOr<HighWaterMark> Open(const std::string& database_path, const State& loaded);
  // Of a database that is made anew.
  static void Remove(const std::string& database_path);

  // Failing to write is no reason to fail the change: the mark is then older than it could be.
  void Set(uint64_t epoch, uint64_t revision);
  // It says nothing until the next Set, on the disk too: for a change of epoch, which a kill or a
  // loss of power may leave on either side.
  absl::Status Clear();

 private:
  explicit HighWaterMark(UniqueFd file) : file_(std::move(file)) {}

  UniqueFd file_;
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_STORE_HIGH_WATER_MARK_H_
