#include "agent/proxy/http/h2_tunnel.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "common/base/status.h"

namespace sallyport::proxy {

absl::Status H2Tunnel::Failure() const {
  if (stream_->failure.ok() || absl::IsCancelled(stream_->failure)) return stream_->failure;
  return absl::UnavailableError(stream_->failure.message());
}

Task<absl::Status> H2Tunnel::Wait(Event* event) {
  event->Reset();
  const SteadyTime until = deadline_;
  const absl::Status waited = co_await event->Wait(until);
  const bool moved = deadline_ > until;
  co_return moved ? absl::OkStatus() : waited;
}

Task<absl::StatusOr<size_t>> H2Tunnel::Read(std::span<char> buffer) {
  H2Stream& stream = *stream_;
  while (stream.unread.empty()) {
    if (stream.remote_ended) co_return size_t{0};
    CO_RETURN_IF_ERROR(Failure());
    CO_RETURN_IF_ERROR(co_await Wait(&stream.readable));
  }
  const size_t count = std::min(buffer.size(), stream.unread.size());
  std::memcpy(buffer.data(), stream.unread.data(), count);
  stream.unread.erase(0, count);
  session_->Consume(stream, count);
  co_return count;
}

Task<absl::Status> H2Tunnel::AwaitTaken() {
  H2Stream& stream = *stream_;
  session_->Send(stream);
  while (stream.failure.ok()) {
    if (stream.outgoing() == 0 && stream.local_ended == stream.end_after)
      co_return absl::OkStatus();
    const absl::Status waited = co_await Wait(&stream.writable);
    // The bytes are the caller's, and are taken out of the stream with it.
    if (!waited.ok()) session_->Reset(stream, H2Error::kCancel, waited);
    if (!waited.ok()) co_return waited;
  }
  co_return Failure();
}

Task<absl::Status> H2Tunnel::Write(std::span<const std::string_view> pieces) {
  for (const std::string_view piece : pieces) {
    if (piece.empty()) continue;
    CO_RETURN_IF_ERROR(Failure());
    if (stream_->end_after) co_return absl::UnavailableError("the stream's writing end was shut");
    stream_->piece = piece;
    CO_RETURN_IF_ERROR(co_await AwaitTaken());
  }
  co_return Failure();
}

Task<absl::Status> H2Tunnel::ShutdownWrite() {
  CO_RETURN_IF_ERROR(Failure());
  stream_->end_after = true;
  co_return co_await AwaitTaken();
}

void H2Tunnel::Close(How) {
  if (stream_->remote_ended && stream_->local_ended) return;
  session_->Reset(*stream_, H2Error::kCancel, absl::CancelledError("the tunnel was closed here"));
}

void H2Tunnel::SetDeadline(SteadyTime deadline) {
  const bool earlier = deadline < std::exchange(deadline_, deadline);
  if (!earlier) return;
  stream_->readable.Notify();
  stream_->writable.Notify();
}

bool H2Tunnel::ReadableNow() {
  return !stream_->unread.empty() || stream_->remote_ended || !stream_->failure.ok();
}

}  // namespace sallyport::proxy
