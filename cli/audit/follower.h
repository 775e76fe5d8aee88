// A file of lines that grows, read as `tail -F` does: by name, through rotation and truncation.

#ifndef SALLYPORT_CLI_AUDIT_FOLLOWER_H_
#define SALLYPORT_CLI_AUDIT_FOLLOWER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace sallyport::cli {

// Not thread-safe.
class FileFollower {
 public:
  // Of a file that is there already, only so much of its end is read.
  static constexpr int64_t kBacklogBytes = 4 << 20;

  // NOT_FOUND: there is no such folder. A file that is not there yet is waited for.
  static absl::StatusOr<FileFollower> Open(const std::string& path);

  // Whole lines that have come since the last call, without their newlines. A line that is longer
  // than kBacklogBytes is thrown away.
  std::vector<std::string> Read();
  // Readable when there may be more to read. Read() drains it.
  int wait_fd() const { return inotify_.get(); }

 private:
  explicit FileFollower(std::string path) : path_(std::move(path)) {}

  // The file of that name now, if it is not the one that is open.
  void Reopen();
  void ReadOpen(std::vector<std::string>* lines);

  std::string path_;
  UniqueFd inotify_;
  UniqueFd file_;
  uint64_t device_ = 0;
  uint64_t inode_ = 0;
  int64_t offset_ = 0;
  std::string partial_;
  // What comes up to the next newline is the rest of a line that began before.
  bool skip_to_newline_ = false;
  // Files that appear later are read from their start.
  bool first_ = true;
};

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_AUDIT_FOLLOWER_H_
