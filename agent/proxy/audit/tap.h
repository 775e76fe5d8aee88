// Where audit records go besides the file while somebody follows them from afar.

#ifndef SALLYPORT_AGENT_PROXY_AUDIT_TAP_H_
#define SALLYPORT_AGENT_PROXY_AUDIT_TAP_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "agent/proxy/audit/record.h"
#include "common/base/mutex.h"
#include "common/base/unique_fd.h"

namespace sallyport::proxy {

// A Unix socket that takes a packet for each record, shared by all workers. Thread-safe. Closed, it
// costs a record one load of an atomic. Never blocks: what the socket does not take is counted, and
// the next packet says how many.
class AuditTap {
 public:
  void Write(const AuditRecord& record) {
    if (open_.load(std::memory_order_relaxed)) Send(record);
  }
  void Open(UniqueFd socket);
  void Close();

 private:
  void Send(const AuditRecord& record);

  std::atomic<bool> open_{false};
  std::atomic<uint64_t> missing_{0};  // Since the last packet.
  Mutex mutex_;
  // Null: closed. A worker that writes keeps it open meanwhile.
  std::shared_ptr<const UniqueFd> socket_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_AUDIT_TAP_H_
