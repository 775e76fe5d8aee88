#include "agent/proxy/http/h2_body.h"

#include "agent/proxy/http/deadlines.h"
#include "agent/proxy/http/serialize.h"
#include "common/base/status.h"

namespace sallyport::proxy {

Task<absl::StatusOr<std::string_view>> H2BodyReader::Read() {
  H2Stream& stream = *stream_;
  session_->Consume(stream, piece_.size());
  piece_.clear();
  uint64_t sent = stream.sent_bytes;
  SteadyTime deadline = Deadlines::In(timeout_);
  while (true) {
    if (stopped_) co_return absl::CancelledError("the body is not read any more");
    if (!stream.unread.empty()) {
      piece_.swap(stream.unread);
      co_return std::string_view(piece_);
    }
    if (stream.remote_ended) co_return std::string_view();
    if (!stream.failure.ok()) co_return stream.failure;
    stream.readable.Reset();
    const absl::Status waited = co_await stream.readable.Wait(deadline);
    if (waited.ok()) continue;
    // Who takes the one body may be slow with the other.
    if (stream.sent_bytes == sent) co_return waited;
    sent = stream.sent_bytes;
    deadline = Deadlines::In(timeout_);
  }
}

bool H2BodyReader::ReadyNow() {
  return stopped_ || !stream_->unread.empty() || stream_->remote_ended || !stream_->failure.ok();
}

void H2BodyReader::Stop() {
  stopped_ = true;
  stream_->readable.Notify();
}

void H2Writer::Begin(Body body, std::optional<uint64_t> length) {
  body_ = body;
  left_ = length;
}

// What the peer did wrong is not its writer's fault.
absl::Status H2Writer::failure() const {
  if (!absl::IsInvalidArgument(stream_->failure)) return stream_->failure;
  return absl::UnavailableError(stream_->failure.message());
}

absl::Status H2Writer::CheckWritable(size_t bytes) const {
  RETURN_IF_ERROR(failure());
  if (body_ == Body::kNone) return absl::OkStatus();
  if (body_ == Body::kEmpty && bytes == 0) return absl::OkStatus();
  if (stream_->end_after) return absl::InvalidArgumentError("the message has ended already");
  if (left_.has_value() && bytes > *left_) {
    return absl::InvalidArgumentError("the body is longer than its declared length");
  }
  return absl::OkStatus();
}

Task<absl::Status> H2Writer::Write(std::string_view bytes, More more) {
  CO_RETURN_IF_ERROR(CheckWritable(bytes.size()));
  if (bytes.empty() || body_ == Body::kNone) co_return absl::OkStatus();
  body_bytes_ += bytes.size();
  if (left_.has_value()) *left_ -= bytes.size();
  if (more == More::kAtOnce && stream_->held.size() + bytes.size() <= kMaxHeldBytes) {
    stream_->held.append(bytes);
    co_return absl::OkStatus();
  }
  stream_->piece = bytes;
  co_return co_await AwaitTaken();
}

absl::Status H2Writer::Flush() {
  session_->Send(*stream_);
  return failure();
}

Task<absl::Status> H2Writer::AwaitInterim() {
  H2Stream& stream = *stream_;
  session_->Send(stream);
  const SteadyTime deadline = Deadlines::In(timeout_);
  while (stream.failure.ok() && stream.interim_heads > 0) {
    stream.writable.Reset();
    const absl::Status waited = co_await stream.writable.Wait(deadline);
    if (!waited.ok()) session_->Reset(stream, H2Error::kCancel, waited);
  }
  co_return failure();
}

Task<absl::Status> H2Writer::Finish(const Headers& trailers) {
  CO_RETURN_IF_ERROR(CheckWritable(0));
  if (body_ != Body::kSend) co_return co_await AwaitTaken();
  if (left_.value_or(0) > 0)
    co_return absl::InvalidArgumentError("the body is shorter than its declared length");
  for (const Header& field : trailers.fields()) {
    if (!IsForbiddenTrailer(field.name) && IsLegalHeader(field.name, field.value))
      stream_->trailers_out.Add(field.name, field.value);
  }
  stream_->end_after = true;
  co_return co_await AwaitTaken();
}

Task<absl::Status> H2Writer::WriteWhole(std::string_view bytes) {
  CO_RETURN_IF_ERROR(CheckWritable(bytes.size()));
  if (body_ != Body::kSend) co_return co_await AwaitTaken();
  body_bytes_ += bytes.size();
  left_ = 0;
  stream_->piece = bytes;
  stream_->end_after = true;
  co_return co_await AwaitTaken();
}

Task<absl::Status> H2Writer::AwaitTaken() {
  H2Stream& stream = *stream_;
  session_->Send(stream);
  uint64_t sent = stream.sent_bytes;
  SteadyTime deadline = Deadlines::In(timeout_);
  while (stream.failure.ok()) {
    if (stream.outgoing() == 0 && stream.local_ended == stream.end_after)
      co_return absl::OkStatus();
    stream.writable.Reset();
    const absl::Status waited = co_await stream.writable.Wait(deadline);
    if (waited.ok()) continue;
    if (stream.sent_bytes == sent) {
      session_->Reset(stream, H2Error::kCancel, waited);
      break;
    }
    sent = stream.sent_bytes;
    deadline = Deadlines::In(timeout_);
  }
  co_return failure();
}

}  // namespace sallyport::proxy
