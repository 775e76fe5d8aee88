#include "agent/proxy/http/h1_writer.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/proxy/http/read_buffer.h"
#include "agent/proxy/http/serialize.h"
#include "common/base/status.h"

namespace sallyport::proxy {
namespace {

constexpr std::string_view kLineEnd = "\r\n";
// Of a body, to be written in one timeout.
constexpr size_t kPieceBytes = ReadBuffer::kFullBytes;

}  // namespace

H1Writer::H1Writer(Stream* stream, Deadlines* deadlines, std::chrono::milliseconds timeout)
    : stream_(stream),
      socket_(dynamic_cast<TcpStream*>(stream)),
      deadlines_(deadlines),
      timeout_(timeout) {}

void H1Writer::BeginBody(BodyFraming framing, uint64_t content_length, Mode mode) {
  framing_ = framing;
  left_ = framing == BodyFraming::kLength ? content_length : 0;
  mode_ = mode;
  finished_ = false;
  body_bytes_ = 0;
}

absl::Status H1Writer::CheckWritable(size_t bytes) const {
  if (!failure_.ok()) return failure_;
  if (finished_) return absl::InvalidArgumentError("the message has ended already");
  if (mode_ == Mode::kDiscard) return absl::OkStatus();
  if (framing_ == BodyFraming::kNone && bytes > 0)
    return absl::InvalidArgumentError("the message has no body");
  if (framing_ == BodyFraming::kLength && bytes > left_) {
    return absl::InvalidArgumentError("the body is longer than its declared length");
  }
  return absl::OkStatus();
}

void H1Writer::AppendChunkSize(size_t size) {
  AppendNumber(size, 16, &held_);
  held_.append(kLineEnd);
}

Task<absl::Status> H1Writer::Write(std::string_view bytes, More more) {
  absl::Status writable = CheckWritable(bytes.size());
  if (!writable.ok() || bytes.empty() || mode_ == Mode::kDiscard) return writable;
  body_bytes_ += bytes.size();
  const bool chunked = framing_ == BodyFraming::kChunked;
  if (framing_ == BodyFraming::kLength) left_ -= bytes.size();
  if (chunked) AppendChunkSize(bytes.size());
  const std::string_view end = chunked ? kLineEnd : std::string_view();
  if (more == More::kAtOnce && held_.size() + bytes.size() <= kMaxHeldBytes) {
    held_.append(bytes).append(end);
    return absl::OkStatus();
  }
  return Send({bytes, end});
}

Task<absl::Status> H1Writer::Finish(const Headers& trailers) {
  absl::Status writable = CheckWritable(0);
  if (!writable.ok()) return writable;
  if (mode_ == Mode::kSend && left_ > 0)
    return absl::InvalidArgumentError("the body is shorter than its declared length");
  finished_ = true;
  if (mode_ == Mode::kSend && framing_ == BodyFraming::kChunked) {
    held_.append("0\r\n");
    AppendTrailers(trailers, &held_);
  }
  return Flush();
}

Task<absl::Status> H1Writer::WriteWhole(std::string_view body) {
  absl::Status writable = CheckWritable(body.size());
  if (!writable.ok()) return writable;
  finished_ = true;
  if (mode_ == Mode::kDiscard) return Flush();
  body_bytes_ += body.size();
  left_ = 0;
  return Send({body});
}

Task<absl::Status> H1Writer::Flush() {
  if (!failure_.ok()) return failure_;
  if (held_.empty() && !sending_) return absl::OkStatus();
  return Send({});
}

bool H1Writer::CanDrain() const {
  return socket_ != nullptr && framing_ == BodyFraming::kLength && mode_ == Mode::kSend &&
         !finished_ && failure_.ok();
}

Task<absl::Status> H1Writer::Drain(PipePool::Pipe* pipe) {
  CO_RETURN_IF_ERROR(CheckWritable(pipe->held()));
  CO_RETURN_IF_ERROR(co_await Flush());
  left_ -= pipe->held();
  body_bytes_ += pipe->held();
  sending_ = true;
  absl::Status status;
  size_t in_time = pipe->held();
  deadlines_->BeginWrite(timeout_);
  while (pipe->held() > 0 && status.ok()) {
    const ssize_t drained = pipe->Drain(socket_->native_handle());
    if (drained > 0) continue;
    if (drained == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) {
      status = absl::UnavailableError(absl::StrCat("write: ", std::strerror(errno)));
    } else {
      // A pipe holds many of the pieces that each have their time.
      if (in_time - pipe->held() >= kPieceBytes) {
        in_time = pipe->held();
        deadlines_->BeginWrite(timeout_);
      }
      status = co_await socket_->WaitWritable();
    }
  }
  co_return Sent(std::move(status));
}

Task<absl::Status> H1Writer::Send(Pieces pieces) {
  if (sending_) return SendNext(pieces);
  if (!failure_.ok()) return failure_;
  // Others may append to held_ meanwhile.
  sent_first_.swap(held_);
  size_t count = 0;
  if (!sent_first_.empty()) all_[count++] = sent_first_;
  for (const std::string_view piece : pieces) {
    if (!piece.empty()) all_[count++] = piece;
  }
  if (count == 0) return absl::OkStatus();
  sending_ = true;
  deadlines_->BeginWrite(timeout_);
  Task<absl::Status> write = stream_->Write(std::span(all_.data(), count));
  if (write.is_over()) return Sent(std::move(write).Take());
  return AwaitSent(std::move(write));
}

Task<absl::Status> H1Writer::SendNext(Pieces pieces) {
  while (sending_) {
    if (sent_ == nullptr) sent_ = std::make_unique<Event>(co_await ThisContext());
    sent_->Reset();
    // The write that is under way has a deadline.
    CO_RETURN_IF_ERROR(co_await sent_->Wait(SteadyTime::max()));
  }
  co_return co_await Send(pieces);
}

Task<absl::Status> H1Writer::AwaitSent(Task<absl::Status> write) {
  co_return Sent(co_await std::move(write));
}

absl::Status H1Writer::Sent(absl::Status status) {
  deadlines_->EndWrite();
  sending_ = false;
  if (sent_ != nullptr) sent_->Notify();
  if (!status.ok()) failure_ = status;
  sent_first_.clear();
  if (held_.empty()) held_.swap(sent_first_);  // Keeps the memory.
  return status;
}

}  // namespace sallyport::proxy
