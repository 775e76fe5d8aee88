#include "agent/proxy/http/h1_writer.h"

#include <array>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/this_coro.hpp>
#include <utility>

#include "agent/proxy/http/serialize.h"
#include "common/base/status.h"

namespace sallyport::proxy {
namespace {

constexpr std::string_view kLineEnd = "\r\n";

Task<absl::Status> Done(absl::Status status) { co_return status; }

}  // namespace

H1Writer::H1Writer(Stream* stream, Deadlines* deadlines, std::chrono::milliseconds timeout)
    : stream_(stream), deadlines_(deadlines), timeout_(timeout) {}

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
  if (!writable.ok() || bytes.empty() || mode_ == Mode::kDiscard) return Done(std::move(writable));
  body_bytes_ += bytes.size();
  const bool chunked = framing_ == BodyFraming::kChunked;
  if (framing_ == BodyFraming::kLength) left_ -= bytes.size();
  if (chunked) AppendChunkSize(bytes.size());
  const std::string_view end = chunked ? kLineEnd : std::string_view();
  if (more == More::kAtOnce && held_.size() + bytes.size() <= kMaxHeldBytes) {
    held_.append(bytes).append(end);
    return Done(absl::OkStatus());
  }
  return Send({bytes, end});
}

Task<absl::Status> H1Writer::Finish(const Headers& trailers) {
  absl::Status writable = CheckWritable(0);
  if (!writable.ok()) return Done(std::move(writable));
  if (mode_ == Mode::kSend && left_ > 0)
    return Done(absl::InvalidArgumentError("the body is shorter than its declared length"));
  finished_ = true;
  if (mode_ == Mode::kSend && framing_ == BodyFraming::kChunked) {
    held_.append("0\r\n");
    AppendTrailers(trailers, &held_);
  }
  return Flush();
}

Task<absl::Status> H1Writer::WriteWhole(std::string_view body) {
  absl::Status writable = CheckWritable(body.size());
  if (!writable.ok()) return Done(std::move(writable));
  finished_ = true;
  if (mode_ == Mode::kDiscard) return Flush();
  body_bytes_ += body.size();
  left_ = 0;
  return Send({body});
}

Task<absl::Status> H1Writer::Flush() {
  if (!failure_.ok()) return Done(failure_);
  if (held_.empty() && !sending_) return Done(absl::OkStatus());
  return Send({});
}

Task<absl::Status> H1Writer::Send(Pieces pieces) {
  while (sending_) {
    const Executor executor = co_await boost::asio::this_coro::executor;
    if (sent_ == nullptr) {
      sent_ =
          std::make_unique<Event>(boost::asio::query(executor, boost::asio::execution::context));
    }
    sent_->Reset();
    // The write that is under way has a deadline.
    CO_RETURN_IF_ERROR(co_await sent_->Wait(SteadyTime::max()));
  }
  if (!failure_.ok()) co_return failure_;
  // Others may append to held_ meanwhile.
  std::string held;
  held.swap(held_);
  std::array<std::string_view, 1 + kMaxPieces> all;
  size_t count = 0;
  if (!held.empty()) all[count++] = held;
  for (const std::string_view piece : pieces) {
    if (!piece.empty()) all[count++] = piece;
  }
  if (count == 0) co_return absl::OkStatus();
  sending_ = true;
  deadlines_->BeginWrite(timeout_);
  const absl::Status written = co_await stream_->Write(std::span(all.data(), count));
  deadlines_->EndWrite();
  sending_ = false;
  if (sent_ != nullptr) sent_->Notify();
  if (!written.ok()) failure_ = written;
  if (held_.empty()) {
    held.clear();
    held.swap(held_);  // Keeps the memory.
  }
  co_return written;
}

}  // namespace sallyport::proxy
