#include "agent/proxy/audit/sink.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "common/base/log.h"

namespace sallyport::proxy {

absl::Status AuditSink::Replace(const UniqueFd& file) {
  // One step for those who write at this moment.
  if (dup3(file.get(), file_.get(), O_CLOEXEC) < 0)
    return absl::ErrnoToStatus(errno, "cannot go on in another audit file");
  return absl::OkStatus();
}

void AuditSink::Write(std::string_view line) {
  if (cut_.exchange(false, std::memory_order_relaxed)) {
    std::string on_a_line_of_its_own = "\n";
    on_a_line_of_its_own += line;
    return Write(on_a_line_of_its_own);
  }
  ssize_t written;
  do {
    written = ::write(file_.get(), line.data(), line.size());
  } while (written < 0 && errno == EINTR);
  if (written == static_cast<ssize_t>(line.size())) return;
  if (written > 0) cut_.store(true, std::memory_order_relaxed);
  // Said once for each power of ten, so that a full disk does not fill the log too.
  const uint64_t lost = lost_.fetch_add(1, std::memory_order_relaxed) + 1;
  for (uint64_t step = 1; step <= lost; step *= 10) {
    if (step == lost)
      LogWarning("audit records lost so far: ", lost,
                 "; the audit file or its reader takes no more");
  }
}

}  // namespace sallyport::proxy
