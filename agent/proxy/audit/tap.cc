#include "agent/proxy/audit/tap.h"

#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <utility>

#include "agent/proxy/audit/record_proto.h"
#include "proto/sallyport/v1/audit_stream.pb.h"

namespace sallyport::proxy {

void AuditTap::Open(UniqueFd socket) {
  MutexLock lock(&mutex_);
  socket_ = std::make_shared<const UniqueFd>(std::move(socket));
  missing_ = 0;
  open_ = true;
}

void AuditTap::Close() {
  MutexLock lock(&mutex_);
  open_ = false;
  socket_ = nullptr;
}

void AuditTap::Send(const AuditRecord& record) {
  std::shared_ptr<const UniqueFd> socket;
  {
    MutexLock lock(&mutex_);
    socket = socket_;
  }
  if (socket == nullptr) return;
  v1::AuditEntry entry;
  FillRecord(record, entry.mutable_record());
  const uint64_t missing = missing_.exchange(0, std::memory_order_relaxed);
  entry.set_missing(missing);
  const std::string packet = entry.SerializeAsString();
  ssize_t sent;
  do {
    sent = ::send(socket->get(), packet.data(), packet.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return;
  missing_.fetch_add(missing + 1, std::memory_order_relaxed);
  // Nobody reads any more. A tap that was opened meanwhile stays.
  if (errno == EPIPE || errno == ECONNRESET) {
    MutexLock lock(&mutex_);
    if (socket_ != socket) return;
    open_ = false;
    socket_ = nullptr;
  }
}

}  // namespace sallyport::proxy
