// Keeps the file of audit records from growing without end, and goes on in a new one when somebody
// else has moved it away.

#ifndef SALLYPORT_AGENT_AUDIT_ROTATION_H_
#define SALLYPORT_AGENT_AUDIT_ROTATION_H_

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "common/base/periodic_task.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {

// Looks every `period`, from a thread of its own, until it is destroyed. A file that has grown to
// `max_bytes` becomes PATH.1, the one before PATH.2 and so on up to PATH.`keep`; the last is
// deleted. No record is lost or cut: whoever writes goes on in the old file until it has the new
// one.
class AuditRotation {
 public:
  struct Options {
    std::string path;
    uint64_t max_bytes = 0;  // 0: grows as long as there is room.
    int64_t keep = 1;
    std::chrono::milliseconds period = std::chrono::seconds(1);
  };
  // Returns when nobody writes to the one before any more.
  using Use = std::function<void(UniqueFd)>;

  // Which file it is, whatever it is called.
  struct FileId {
    dev_t device = 0;
    ino_t inode = 0;
    bool operator==(const FileId&) const = default;
  };
  // nullopt: it is no regular file, and there is nothing to rotate.
  static std::optional<FileId> IdOf(const UniqueFd& file);

  // `file`: what is written to now.
  AuditRotation(Options options, FileId file, Use use);

 private:
  void Look();
  absl::Status MoveAway() const;
  absl::Status Reopen();
  // Once for each problem, not each second.
  void Report(const absl::Status& status);

  const Options options_;
  const Use use_;
  FileId file_;
  std::string reported_;

  PeriodicTask look_;  // Last: it uses the rest.
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_AUDIT_ROTATION_H_
