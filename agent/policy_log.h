// Changes that lead on from a whole file. The log has a fixed size and is written in place, so that
// a change costs one flush of the disk and nothing of the file system's own, which a new file or a
// growing one would.
//
//   record     length     4 bytes, little endian, of the payload; 0: no record
//              checksum   32 bytes, SHA-256 of the checksum before it and the payload
//              payload
//
// The checksum before the first record is that of the whole file. So a record counts only after the
// whole file and the records that it was written after, and a new whole file ends the log without a
// write. A record that does not check out ends the log: a power cut tore it, and it was not
// promised to anyone.

#ifndef SALLYPORT_AGENT_POLICY_LOG_H_
#define SALLYPORT_AGENT_POLICY_LOG_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {

// Not thread-safe.
class PolicyLog {
 public:
  static constexpr size_t kBytes = size_t{1} << 20;

  // NOT_FOUND if there is none that was ever used.
  static absl::StatusOr<PolicyLog> Open(const std::string& path);
  // Opens it, or makes it.
  static absl::StatusOr<PolicyLog> OpenOrMake(const std::string& path);

  // The payloads that lead on from a whole file of this checksum. The next Append follows them.
  absl::StatusOr<std::vector<std::string>> Replay(std::string_view checksum_of_whole);
  // False: no room; write a whole file, then Restart.
  bool Fits(size_t payload_bytes) const;
  // On disk when this returns OK; after an error it is not known. REQUIRES: it fits.
  absl::Status Append(std::string_view payload);
  // There is a new whole file: the next Append follows it.
  void Restart(std::string_view checksum_of_whole);

 private:
  static absl::StatusOr<PolicyLog> Open(const std::string& path, int flags);
  explicit PolicyLog(UniqueFd file, std::string path)
      : file_(std::move(file)), path_(std::move(path)) {}

  UniqueFd file_;
  std::string path_;
  size_t end_ = 0;
  std::string checksum_;
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_POLICY_LOG_H_
