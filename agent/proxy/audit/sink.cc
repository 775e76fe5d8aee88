#include "agent/proxy/audit/sink.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "common/base/log.h"

namespace sallyport::proxy {
namespace {

// Said once for each power of ten, so that a full disk does not fill the log too.
void LogLost(uint64_t before, uint64_t more) {
  const uint64_t lost = before + more;
  for (uint64_t step = 1; step <= lost; step *= 10) {
    if (before >= step) continue;
    LogWarning("audit records lost so far: ", lost, "; the audit file or its reader takes no more");
    return;
  }
}

}  // namespace

absl::Status AuditSink::Replace(const UniqueFd& file) {
  // One step for those who write at this moment.
  if (dup3(file.get(), file_.get(), O_CLOEXEC) < 0)
    return absl::ErrnoToStatus(errno, "cannot go on in another audit file");
  return absl::OkStatus();
}

void AuditSink::Write(std::string_view lines) {
  const bool cut = cut_.exchange(false, std::memory_order_relaxed);
  std::string on_a_line_of_its_own;
  if (cut) on_a_line_of_its_own.append("\n").append(lines);
  const std::string_view bytes = cut ? on_a_line_of_its_own : lines;
  ssize_t count;
  do {
    count = ::write(file_.get(), bytes.data(), bytes.size());
  } while (count < 0 && errno == EINTR);
  if (count == static_cast<ssize_t>(bytes.size())) return;
  const size_t written = count > 0 ? static_cast<size_t>(count) : 0;
  const bool ends_within_a_line = written == 0 ? cut : bytes[written - 1] != '\n';
  if (ends_within_a_line) cut_.store(true, std::memory_order_relaxed);
  const std::string_view rest = bytes.substr(written == 0 && cut ? 1 : written);
  const auto lines_lost = static_cast<uint64_t>(std::count(rest.begin(), rest.end(), '\n'));
  LogLost(lost_.fetch_add(lines_lost, std::memory_order_relaxed), lines_lost);
}

}  // namespace sallyport::proxy
