// Where audit records go.

#ifndef SALLYPORT_AGENT_PROXY_AUDIT_SINK_H_
#define SALLYPORT_AGENT_PROXY_AUDIT_SINK_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "agent/proxy/audit/record.h"
#include "common/base/unique_fd.h"

namespace sallyport::proxy {

// A descriptor that takes JSON lines. Thread-safe: what Write is given is one write(2) to a
// descriptor opened with O_APPEND, or to a FIFO if it is no longer than PIPE_BUF, or to a socket.
// Never blocks but on a file: what does not fit is counted as lost. Of a line that was taken in
// part the rest is lost; the next one begins a line of its own.
class AuditSink {
 public:
  explicit AuditSink(UniqueFd file) : file_(std::move(file)) {}

  // Whole lines, at least one.
  void Write(std::string_view lines);
  // When it returns, everything is written to `file`; a write that has begun before may end later.
  absl::Status Replace(const UniqueFd& file);
  uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

 private:
  const UniqueFd file_;
  std::atomic<bool> cut_{false};  // The last line is there in part.
  std::atomic<uint64_t> lost_{0};
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_AUDIT_SINK_H_
