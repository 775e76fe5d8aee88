#include "agent/proxy/http/h1_body_reader.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/proxy/http/field_lines.h"
#include "agent/proxy/http/serialize.h"

namespace sallyport::proxy {
namespace {

// Of a body: less is sooner copied than moved through a pipe.
constexpr uint64_t kWorthAPipe = 64 * 1024;

}  // namespace

H1BodyReader::H1BodyReader(ReadBuffer* buffer, Deadlines* deadlines, const H1Limits* limits,
                           std::chrono::milliseconds timeout)
    : socket_(dynamic_cast<TcpStream*>(buffer->stream())),
      buffer_(buffer),
      deadlines_(deadlines),
      limits_(limits),
      timeout_(timeout) {}

void H1BodyReader::Begin(BodyFraming framing, uint64_t content_length) {
  framing_ = framing;
  left_ = content_length;
  decoder_ = ChunkedDecoder(limits_->chunk_extension_bytes);
  trailers_.clear();
  bytes_ = 0;
  failure_ = absl::OkStatus();
  ready_.reset();
  const bool none =
      framing == BodyFraming::kNone || (framing == BodyFraming::kLength && content_length == 0);
  state_ = none ? State::kComplete : State::kBody;
}

Task<absl::StatusOr<std::string_view>> H1BodyReader::Read() {
  std::optional<Piece> piece = TakeReady();
  if (piece.has_value()) return *std::move(piece);
  return ReadMore();
}

Task<absl::StatusOr<std::string_view>> H1BodyReader::ReadMore() {
  while (true) {
    BeginRead();
    const absl::StatusOr<size_t> count = co_await buffer_->Fill(ReadBuffer::kFullBytes);
    deadlines_->EndReadAfterWrites();
    if (!count.ok()) co_return Fail(count.status());
    if (*count == 0) co_return EndOfStream();
    std::optional<Piece> piece = TakeReady();
    if (piece.has_value()) co_return *std::move(piece);
  }
}

void H1BodyReader::BeginRead() {
  if (final_deadline_ == SteadyTime::max()) {
    deadlines_->BeginReadAfterWrites(timeout_);
  } else {
    deadlines_->BeginRead(std::min(Deadlines::In(timeout_), final_deadline_));
  }
}

bool H1BodyReader::CanFill() const {
  return socket_ != nullptr && state_ == State::kBody && framing_ == BodyFraming::kLength &&
         left_ >= kWorthAPipe && buffer_->empty() && !ready_.has_value();
}

absl::StatusOr<size_t> H1BodyReader::Fill(PipePool::Pipe* pipe) {
  buffer_->Release();
  const ssize_t moved = pipe->Fill(socket_->native_handle(), left_);
  if (moved < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    socket_->NoteDrained();
    return size_t{0};
  }
  if (moved < 0)
    return Fail(absl::UnavailableError(absl::StrCat("read: ", std::strerror(errno)))).status();
  if (moved == 0) return EndOfStream().status();
  left_ -= static_cast<uint64_t>(moved);
  bytes_ += static_cast<uint64_t>(moved);
  if (left_ == 0) state_ = State::kComplete;
  return static_cast<size_t>(moved);
}

Task<absl::Status> H1BodyReader::AwaitMore() {
  BeginRead();
  absl::Status readable = co_await socket_->WaitReadable();
  deadlines_->EndReadAfterWrites();
  co_return readable.ok() ? readable : Fail(std::move(readable)).status();
}

std::optional<H1BodyReader::Piece> H1BodyReader::TakeReady() {
  std::optional<Piece> piece = ready_.has_value() ? std::exchange(ready_, std::nullopt) : TryRead();
  // An idle connection holds no memory for what it might read.
  const bool at_end = piece.has_value() && piece->ok() && (*piece)->empty();
  if (at_end && buffer_->empty()) buffer_->Release();
  return piece;
}

bool H1BodyReader::ReadyNow() {
  if (!ready_.has_value()) ready_ = TryRead();
  return ready_.has_value();
}

std::optional<H1BodyReader::Piece> H1BodyReader::TryRead() {
  switch (state_) {
    case State::kComplete:
      return std::string_view();
    case State::kFailed:
      return failure_;
    case State::kTrailers:
      return TryReadTrailers();
    case State::kBody:
      break;
  }
  return framing_ == BodyFraming::kChunked ? TryReadChunked() : TryReadLength();
}

// And kUntilClose.
std::optional<H1BodyReader::Piece> H1BodyReader::TryReadLength() {
  if (buffer_->empty()) return std::nullopt;
  std::string_view piece = buffer_->bytes();
  if (framing_ == BodyFraming::kLength) {
    piece = piece.substr(0, std::min<uint64_t>(piece.size(), left_));
    left_ -= piece.size();
    if (left_ == 0) state_ = State::kComplete;
  }
  buffer_->Consume(piece.size());
  bytes_ += piece.size();
  return piece;
}

// Data of several chunks becomes one piece: it is moved together over the framing between it.
// Otherwise a sender of tiny chunks would cost a system call for each.
std::optional<H1BodyReader::Piece> H1BodyReader::TryReadChunked() {
  char* piece = nullptr;
  size_t size = 0;
  while (true) {
    std::string_view rest = buffer_->bytes();
    char* const base = buffer_->data();
    const size_t before = rest.size();
    std::string_view data;
    const ChunkedDecoder::Step step = decoder_.Next(&rest, &data);
    if (step == ChunkedDecoder::Step::kData) {
      if (piece == nullptr) {
        piece = base + (data.data() - base);
      } else {
        std::memmove(piece + size, data.data(), data.size());
      }
      size += data.size();
      bytes_ += data.size();
    }
    buffer_->Consume(before - rest.size());
    if (step == ChunkedDecoder::Step::kData) continue;
    if (step == ChunkedDecoder::Step::kTrailers) state_ = State::kTrailers;
    // What is wrong, or the end, is told by the next call.
    if (size > 0) return std::string_view(piece, size);
    if (step == ChunkedDecoder::Step::kBad)
      return Fail(absl::InvalidArgumentError(decoder_.problem()));
    if (step == ChunkedDecoder::Step::kTrailers) return TryReadTrailers();
    return std::nullopt;
  }
}

std::optional<H1BodyReader::Piece> H1BodyReader::TryReadTrailers() {
  Headers trailers;
  const auto parsed =
      ParseFieldLines(buffer_->bytes(), limits_->trailer_bytes, limits_->header_count, &trailers);
  if (const auto* bad = std::get_if<BadMessage>(&parsed)) {
    return Fail(absl::InvalidArgumentError("trailers: " + bad->detail));
  }
  if (std::holds_alternative<NeedMore>(parsed)) return std::nullopt;
  buffer_->Consume(std::get<size_t>(parsed));
  trailers.RemoveIf([](const Header& field) { return IsForbiddenTrailer(field.name); });
  trailers_ = std::move(trailers);
  return Complete();
}

H1BodyReader::Piece H1BodyReader::EndOfStream() {
  if (framing_ == BodyFraming::kUntilClose) return Complete();
  return Fail(absl::DataLossError("the connection ended before the body's end"));
}

H1BodyReader::Piece H1BodyReader::Complete() {
  state_ = State::kComplete;
  return std::string_view();
}

H1BodyReader::Piece H1BodyReader::Fail(absl::Status status) {
  state_ = State::kFailed;
  failure_ = std::move(status);
  return failure_;
}

}  // namespace sallyport::proxy
