#include "agent/audit_stream/audit_tap_reader.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/audit/filter.h"

namespace sallyport::agent {
namespace {

// More than a record can have: paths and names are cut.
constexpr size_t kMaxPacketBytes = 64 << 10;
// Of the kernel's queue, for bursts.
constexpr int kSocketBytes = 4 << 20;

}  // namespace

absl::StatusOr<std::unique_ptr<AuditTapReader>> AuditTapReader::Open(AuditFilters filters,
                                                                     UniqueFd* writer) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return absl::ErrnoToStatus(errno, "cannot make a socket for audit records");
  UniqueFd reader(ends[0]);
  writer->Reset(ends[1]);
  // More than sysctl net.core.wmem_max allows others; without the right to it the usual size does.
  setsockopt(ends[1], SOL_SOCKET, SO_SNDBUFFORCE, &kSocketBytes, sizeof(kSocketBytes));
  return std::unique_ptr<AuditTapReader>(new AuditTapReader(std::move(filters), std::move(reader)));
}

AuditTapReader::AuditTapReader(AuditFilters filters, UniqueFd reader)
    : reader_(std::move(reader)), packet_(kMaxPacketBytes), filters_(std::move(filters)) {}

void AuditTapReader::SetFilters(AuditFilters filters) {
  MutexLock lock(&mutex_);
  filters_ = std::move(filters);
}

void AuditTapReader::Close() { shutdown(reader_.get(), SHUT_RDWR); }

std::optional<v1::PublishRequest::Entries> AuditTapReader::Read(size_t max_bytes) {
  v1::PublishRequest::Entries entries;
  size_t bytes = 0;
  v1::AuditEntry entry;
  while (bytes < max_bytes && Receive(bytes == 0 ? 0 : MSG_DONTWAIT, &entry)) {
    missing_ += entry.missing();
    if (!entry.has_record() || !IsWanted(entry.record())) continue;
    entry.set_missing(std::exchange(missing_, 0));
    bytes += entry.ByteSizeLong();
    *entries.add_entries() = std::move(entry);
  }
  if (bytes == 0) return std::nullopt;
  return entries;
}

bool AuditTapReader::Receive(int flags, v1::AuditEntry* entry) {
  ssize_t size;
  do {
    size = recv(reader_.get(), packet_.data(), packet_.size(), flags | MSG_TRUNC);
  } while (size < 0 && errno == EINTR);
  if (size <= 0) return false;
  const bool whole = static_cast<size_t>(size) <= packet_.size() &&
                     entry->ParseFromArray(packet_.data(), static_cast<int>(size));
  if (whole) return true;
  entry->Clear();
  entry->set_missing(1);
  return true;
}

bool AuditTapReader::IsWanted(const v1::AuditRecord& record) const {
  MutexLock lock(&mutex_);
  return std::ranges::any_of(filters_,
                             [&](const v1::AuditFilter& filter) { return Wants(filter, record); });
}

}  // namespace sallyport::agent
