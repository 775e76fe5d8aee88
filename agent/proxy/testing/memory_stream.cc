#include "agent/proxy/testing/memory_stream.h"

#include <algorithm>
#include <cstring>

#include "agent/proxy/event.h"

namespace sallyport::proxy {

namespace {

// One direction.
struct Pipe {
  explicit Pipe(boost::asio::io_context& context) : changed(context) {}

  std::string unread;
  std::string history;
  uint64_t read_bytes = 0;
  int write_calls = 0;
  bool ended = false;
  bool reset = false;
  Event changed;
  std::function<void(HangUp)> on_hang_up;  // Of the reader.

  void TellOfEnd() {
    const std::function<void(HangUp)> callback = on_hang_up;
    if (callback != nullptr && (ended || reset)) callback(reset ? HangUp::kWhole : HangUp::kHalf);
  }
};

}  // namespace

struct MemoryStream::State {
  std::shared_ptr<Pipe> in;
  std::shared_ptr<Pipe> out;
  Faults faults;
  SteadyTime deadline = SteadyTime::max();
  bool closed = false;

  absl::Status CheckUsable() const {
    if (closed) return absl::CancelledError("the stream was closed here");
    if (deadline <= std::chrono::steady_clock::now()) {
      return absl::DeadlineExceededError("the peer took too long");
    }
    return absl::OkStatus();
  }
  void Wake() {
    in->changed.Notify();
    out->changed.Notify();
  }
};

namespace {

using StatePtr = std::shared_ptr<MemoryStream::State>;

// Returns when something changed, or the deadline passed; the caller looks which.
Task<void> WaitForChange(StatePtr state, std::shared_ptr<Pipe> pipe) {
  pipe->changed.Reset();
  const absl::Status ignored = co_await pipe->changed.Wait(state->deadline);
  static_cast<void>(ignored);
}

Task<absl::StatusOr<size_t>> ReadFrom(StatePtr state, std::span<char> buffer) {
  Pipe& in = *state->in;
  while (true) {
    const absl::Status usable = state->CheckUsable();
    if (!usable.ok()) co_return usable;
    if (in.reset || in.read_bytes >= state->faults.reset_read_at) {
      co_return absl::UnavailableError("the peer reset the stream");
    }
    const uint64_t until = std::min(state->faults.reset_read_at, state->faults.stall_read_at);
    const bool stalled = in.read_bytes >= state->faults.stall_read_at;
    if (!stalled && !in.unread.empty()) {
      const uint64_t allowed = std::min<uint64_t>(until - in.read_bytes, state->faults.max_read);
      const size_t count =
          std::min({buffer.size(), in.unread.size(), static_cast<size_t>(allowed)});
      std::memcpy(buffer.data(), in.unread.data(), count);
      in.unread.erase(0, count);
      in.read_bytes += count;
      in.changed.Notify();
      co_return count;
    }
    if (!stalled && in.ended) co_return size_t{0};
    co_await WaitForChange(state, state->in);
  }
}

Task<absl::Status> WriteTo(StatePtr state, std::span<const std::string_view> pieces) {
  Pipe& out = *state->out;
  ++out.write_calls;
  for (const std::string_view piece : pieces) {
    std::string_view left = piece;
    while (!left.empty()) {
      const absl::Status usable = state->CheckUsable();
      if (!usable.ok()) co_return usable;
      const uint64_t position = out.history.size();
      if (out.reset || out.ended || position >= state->faults.reset_write_at) {
        co_return absl::UnavailableError("the peer is gone");
      }
      const uint64_t until = std::min(state->faults.reset_write_at, state->faults.stall_write_at);
      const uint64_t room =
          state->faults.capacity - std::min(state->faults.capacity, out.unread.size());
      const size_t count =
          std::min<uint64_t>({left.size(), room, until - std::min(until, position)});
      if (count == 0) {
        co_await WaitForChange(state, state->out);
        continue;
      }
      out.unread.append(left.substr(0, count));
      out.history.append(left.substr(0, count));
      left.remove_prefix(count);
      out.changed.Notify();
    }
  }
  co_return state->CheckUsable();
}

Task<absl::Status> EndWriting(StatePtr state) {
  state->out->ended = true;
  state->Wake();
  state->out->TellOfEnd();
  co_return state->CheckUsable();
}

}  // namespace

MemoryStream::Pair MemoryStream::MakePair(boost::asio::io_context& context) {
  auto a_to_b = std::make_shared<Pipe>(context);
  auto b_to_a = std::make_shared<Pipe>(context);
  auto a = std::make_shared<State>(State{b_to_a, a_to_b, {}});
  auto b = std::make_shared<State>(State{a_to_b, b_to_a, {}});
  return {std::unique_ptr<MemoryStream>(new MemoryStream(std::move(a))),
          std::unique_ptr<MemoryStream>(new MemoryStream(std::move(b)))};
}

MemoryStream::MemoryStream(std::shared_ptr<State> state) : state_(std::move(state)) {}

MemoryStream::~MemoryStream() { Close(How::kGraceful); }

void MemoryStream::set_faults(const Faults& faults) {
  state_->faults = faults;
  state_->Wake();
}

void MemoryStream::Receive(std::string_view bytes) {
  state_->in->unread.append(bytes);
  state_->in->history.append(bytes);
  state_->in->changed.Notify();
}

void MemoryStream::ReceiveEnd() {
  state_->in->ended = true;
  state_->in->changed.Notify();
  state_->in->TellOfEnd();
}

const std::string& MemoryStream::written() const { return state_->out->history; }
int MemoryStream::write_calls() const { return state_->out->write_calls; }
bool MemoryStream::was_reset() const { return state_->in->reset; }
bool MemoryStream::closed() const { return state_->closed; }
SteadyTime MemoryStream::deadline() const { return state_->deadline; }

Task<absl::StatusOr<size_t>> MemoryStream::Read(std::span<char> buffer) {
  return ReadFrom(state_, buffer);
}

Task<absl::Status> MemoryStream::Write(std::span<const std::string_view> pieces) {
  return WriteTo(state_, pieces);
}

Task<absl::Status> MemoryStream::ShutdownWrite() { return EndWriting(state_); }

void MemoryStream::Close(How how) {
  if (state_->closed) return;
  state_->closed = true;
  state_->out->ended = true;
  if (how == How::kReset) state_->in->reset = state_->out->reset = true;
  state_->in->on_hang_up = nullptr;
  state_->Wake();
  state_->out->TellOfEnd();
}

void MemoryStream::SetDeadline(SteadyTime deadline) {
  state_->deadline = deadline;
  state_->Wake();
}

void MemoryStream::OnHangUp(std::function<void(HangUp)> callback) {
  state_->in->on_hang_up = std::move(callback);
  state_->in->TellOfEnd();
}

bool MemoryStream::ReadableNow() {
  return state_->closed || state_->in->reset || state_->in->ended || !state_->in->unread.empty();
}

}  // namespace sallyport::proxy
