// Where audit records go.

#ifndef SALLYPORT_AGENT_PROXY_AUDIT_SINK_H_
#define SALLYPORT_AGENT_PROXY_AUDIT_SINK_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "agent/proxy/audit/record.h"
#include "common/base/unique_fd.h"

namespace sallyport::proxy {

// A descriptor that takes JSON lines. Thread-safe: each record is one write(2) to a descriptor
// opened with O_APPEND, or to a FIFO whose lines are shorter than PIPE_BUF. Never blocks on a FIFO:
// what does not fit is counted as lost.
class AuditSink {
 public:
  explicit AuditSink(UniqueFd file) : file_(std::move(file)) {}

  void Write(std::string_view line);
  uint64_t lost() const { return lost_.load(std::memory_order_relaxed); }

 private:
  const UniqueFd file_;
  std::atomic<uint64_t> lost_{0};
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_AUDIT_SINK_H_
