#include "agent/proxy/audit/sink.h"

#include <cerrno>

#include "common/base/log.h"

namespace sallyport::proxy {

void AuditSink::Write(std::string_view line) {
  ssize_t written;
  do {
    written = ::write(file_.get(), line.data(), line.size());
  } while (written < 0 && errno == EINTR);
  if (written == static_cast<ssize_t>(line.size())) return;
  // Said once for each power of ten, so that a full disk does not fill the log too.
  const uint64_t lost = lost_.fetch_add(1, std::memory_order_relaxed) + 1;
  for (uint64_t step = 1; step <= lost; step *= 10) {
    if (step == lost)
      LogWarning("audit records lost so far: ", lost,
                 "; the audit file or its reader takes no more");
  }
}

}  // namespace sallyport::proxy
