#include "agent/proxy/http/h2_transport.h"

#include <array>
#include <utility>

namespace sallyport::proxy {
namespace {

// Frames are gathered up to this much, or a frame more, before they are written.
constexpr size_t kBatchBytes = 64 * 1024;
// A batch that keeps more memory than this gives it back.
constexpr size_t kKeptBytes = 4 * 1024;

}  // namespace

H2Transport::H2Transport(Stream* stream, H2Session* session, const H2Timeouts& timeouts,
                         std::string_view early)
    : stream_(stream),
      session_(session),
      timeouts_(timeouts),
      deadlines_(stream),
      buffer_(stream, early) {}

Task<absl::Status> H2Transport::ReadOnce() {
  if (buffer_.empty()) {
    const bool idle = session_->open_streams() == 0;
    const absl::StatusOr<size_t> count =
        co_await buffer_.Fill(idle ? ReadBuffer::kIdleBytes : ReadBuffer::kFullBytes);
    // Else it is a write that was late.
    const bool read_is_late = read_deadline_ <= std::chrono::steady_clock::now();
    if (absl::IsDeadlineExceeded(count.status()) && read_is_late && !session_->finished()) {
      SetReadDeadline(SteadyTime::max());  // It would hold for writes, too.
      co_return count.status();
    }
    if (!count.ok()) {
      const absl::Status lost = absl::UnavailableError("the connection was lost");
      Lose(lost);
      co_return lost;
    }
    if (*count == 0) {
      const absl::Status ended = absl::UnavailableError("the peer closed the connection");
      Lose(ended);
      co_return ended;
    }
  }
  co_return Give();
}

absl::Status H2Transport::Give() {
  const absl::Status understood = session_->OnInput(buffer_.bytes());
  buffer_.Consume(buffer_.size());
  if (session_->open_streams() == 0) buffer_.Release();
  if (!understood.ok()) SayFarewell();
  return understood;
}

Task<void> H2Transport::WriteAll() {
  std::string batch;
  while (true) {
    session_->output_ready().Reset();
    batch.clear();
    session_->TakeOutput(kBatchBytes, &batch);
    if (!batch.empty()) {
      const std::array<std::string_view, 1> pieces = {batch};
      deadlines_.BeginWrite(session_->finished() ? timeouts_.farewell : timeouts_.write);
      const absl::Status written = co_await stream_->Write(pieces);
      deadlines_.EndWrite();
      if (written.ok()) continue;
      Lose(absl::UnavailableError("the connection was lost"));
      break;
    }
    if (session_->finished()) break;
    if (batch.capacity() > kKeptBytes) batch = std::string();
    const absl::Status woken = co_await session_->output_ready().Wait(SteadyTime::max());
    woken.IgnoreError();  // Without a deadline it is OK.
  }
  SetReadDeadline(std::chrono::steady_clock::now());
}

void H2Transport::SetReadDeadline(SteadyTime deadline) {
  read_deadline_ = deadline;
  deadlines_.BeginRead(deadline);
}

void H2Transport::SayFarewell() { SetReadDeadline(Deadlines::In(timeouts_.farewell)); }

void H2Transport::Lose(absl::Status why) {
  session_->Fail(why);
  SayFarewell();
}

}  // namespace sallyport::proxy
