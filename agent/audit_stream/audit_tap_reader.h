// The socket to which the proxies of this host write their audit records while somebody follows.

#ifndef SALLYPORT_AGENT_AUDIT_STREAM_AUDIT_TAP_READER_H_
#define SALLYPORT_AGENT_AUDIT_STREAM_AUDIT_TAP_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "common/base/unique_fd.h"
#include "proto/sallyport/v1/audit_stream.pb.h"

namespace sallyport::agent {

using AuditFilters = std::vector<v1::AuditFilter>;

// The reader's end. The kernel's queue is the only one: while nobody reads it fills, and the
// proxies count what it does not take. One thread reads; the rest is thread-safe.
class AuditTapReader {
 public:
  // `writer`: for the proxies, a Unix socket (SOCK_SEQPACKET) that takes a v1::AuditEntry a packet.
  static absl::StatusOr<std::unique_ptr<AuditTapReader>> Open(AuditFilters filters,
                                                              UniqueFd* writer);

  void SetFilters(AuditFilters filters);
  // Waits for what one of the filters wants, and takes what else is there, up to about `max_bytes`.
  // Records that are missing are said with the entry behind them. nullopt: closed, or all writers
  // are gone.
  std::optional<v1::PublishRequest::Entries> Read(size_t max_bytes);
  // Read answers nullopt from here on.
  void Close();

 private:
  AuditTapReader(AuditFilters filters, UniqueFd reader);
  // False: there is nothing, or (if it waits) there will be nothing.
  bool Receive(int flags, v1::AuditEntry* entry);
  bool IsWanted(const v1::AuditRecord& record) const;

  const UniqueFd reader_;
  std::vector<char> packet_;  // The reading thread's.
  uint64_t missing_ = 0;      // Likewise: not yet said.

  mutable Mutex mutex_;
  AuditFilters filters_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_AUDIT_STREAM_AUDIT_TAP_READER_H_
