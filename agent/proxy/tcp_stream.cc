#include "agent/proxy/tcp_stream.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "agent/proxy/poller.h"

namespace sallyport::proxy {
namespace {

using Clock = std::chrono::steady_clock;
using Timer = boost::asio::basic_waitable_timer<Clock, boost::asio::wait_traits<Clock>, Executor>;

// System calls in a row that did not have to wait, after which other connections get their turn: a
// peer that is always ready would otherwise keep the worker for itself.
constexpr int kTurn = 32;
constexpr size_t kMaxPieces = 16;

ssize_t SendPieces(int fd, std::span<iovec> pieces) {
  // Which has less to copy.
  if (pieces.size() == 1) return ::send(fd, pieces[0].iov_base, pieces[0].iov_len, MSG_NOSIGNAL);
  msghdr message = {};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  return ::sendmsg(fd, &message, MSG_NOSIGNAL);
}

absl::Status SocketError(int error, const char* operation) {
  return absl::UnavailableError(std::string(operation) + ": " + std::strerror(error));
}

bool WouldBlock(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

// The pieces of one write, as far as they are not sent.
class Unsent {
 public:
  // The array that `pieces` views outlives this.
  explicit Unsent(std::span<const std::string_view> pieces) : pieces_(pieces) { Advance(0); }

  // Sends as much as the socket takes. How the write ended; nullopt: not yet.
  std::optional<absl::Status> Send(int fd) {
    while (!pieces_.empty()) {
      std::array<iovec, kMaxPieces> vectors;
      size_t count = 0;
      for (size_t i = 0; i < pieces_.size() && count < kMaxPieces; ++i) {
        const std::string_view piece = i == 0 ? pieces_[i].substr(skip_) : pieces_[i];
        if (!piece.empty()) vectors[count++] = {const_cast<char*>(piece.data()), piece.size()};
      }
      const ssize_t sent = SendPieces(fd, std::span(vectors.data(), count));
      if (sent >= 0) {
        Advance(static_cast<size_t>(sent));
      } else if (WouldBlock(errno)) {
        return std::nullopt;
      } else if (errno != EINTR) {
        return SocketError(errno, "write");
      }
    }
    return absl::OkStatus();
  }

 private:
  // The first piece that is left is not empty.
  void Advance(size_t count) {
    skip_ += count;
    while (!pieces_.empty() && skip_ >= pieces_.front().size()) {
      skip_ -= pieces_.front().size();
      pieces_ = pieces_.subspan(1);
    }
  }

  std::span<const std::string_view> pieces_;
  size_t skip_ = 0;  // Bytes of pieces_[0] that are sent.
};

}  // namespace

struct TcpStream::State final : std::enable_shared_from_this<TcpStream::State>, Poller::Client {
  enum class Direction { kRead, kWrite };
  // One direction's wait. At most one at a time.
  struct Pending {
    Resumption resume;
    // How the last one was ended early, if it was.
    bool aborted = false;
    bool timed_out = false;
  };
  // Awaited: whether the wait was ended before the socket's next edge. Whoever awaits it keeps
  // `state`.
  struct NextEdge {
    State* state;
    Pending* pending;

    bool await_ready() const noexcept { return false; }
    template <typename Promise>
    void await_suspend(std::coroutine_handle<Promise> waiting) {
      state->Begin(pending, Resumption(waiting));
    }
    bool await_resume() const noexcept { return !pending->aborted; }
  };

  State(boost::asio::io_context& context, UniqueFd given, Socket socket)
      : poller(boost::asio::use_service<Poller>(context)),
        timer(context.get_executor()),
        fd(std::move(given)),
        // What has come before it was known to the poller counts as an edge.
        likely_readable(socket != Socket::kConnecting),
        likely_writable(socket != Socket::kConnecting) {
    if (socket != Socket::kConnected || Prepare()) poll_id = poller.Add(fd.get(), this);
    if (poll_id == 0) {
      failed_by = errno;
      closed = true;
    }
  }

  bool Prepare() const {
    const int on = 1;
    // Heads and bodies are gathered before they are written. Fails on AF_UNIX, which needs no such
    // thing.
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    const int flags = ::fcntl(fd.get(), F_GETFL);
    return flags >= 0 && ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) == 0;
  }

  absl::Status CheckUsable() {
    if (closed) {
      return failed_by == 0 ? absl::CancelledError("the connection was closed here")
                            : SocketError(failed_by, "socket");
    }
    if (deadline != SteadyTime::max() && Clock::now() >= deadline) return TimedOut();
    return absl::OkStatus();
  }

  static absl::Status TimedOut() { return absl::DeadlineExceededError("the peer took too long"); }

  // After a wait that ended early. OK: nothing is wrong, wait again.
  absl::Status AfterAbort(const Pending& pending) {
    return pending.timed_out ? TimedOut() : CheckUsable();
  }

  // The timer runs to the deadline that held when it was armed. Later deadlines are looked at when
  // it fires, so that moving the deadline on with each read costs nothing.
  void ArmTimer() {
    if (deadline == SteadyTime::max() || (armed && armed_for <= deadline)) return;
    armed = true;
    armed_for = deadline;
    timer.expires_at(deadline);  // Cancels an earlier wait.
    timer.async_wait([self = shared_from_this(), at = deadline](const boost::system::error_code&) {
      self->TimerFired(at);
    });
  }

  void TimerFired(SteadyTime at) {
    if (closed || !armed || at != armed_for) return;  // Re-armed or cancelled meanwhile.
    armed = false;
    if (!waiting()) return;
    if (Clock::now() < deadline) {
      ArmTimer();
      return;
    }
    for (Pending* pending : {&reading, &writing}) {
      pending->timed_out = true;
      Abort(pending);
    }
  }

  // For its container's next turn.
  bool HasToWait() { return turns != nullptr && !turns->TryTake(Turn::kRead); }

  bool waiting() const { return reading.resume || writing.resume; }

  void Begin(Pending* pending, Resumption resume) {
    *pending = {std::move(resume)};
    poller.BeginWait();
    turn = 0;
    ArmTimer();
  }

  void Resume(Pending* pending) {
    if (!pending->resume) return;
    poller.EndWait();
    std::exchange(pending->resume, {})();
  }

  // From the event loop: whoever calls this may not be ready for what follows.
  void Abort(Pending* pending) {
    if (!pending->resume) return;
    poller.EndWait();
    pending->aborted = true;
    boost::asio::post(
        timer.get_executor(),
        [resume = std::exchange(pending->resume, {})]() mutable { std::move(resume)(); });
  }

  void NoteEvents(uint32_t events) override {
    // Beside these, a read that does not fill its buffer may leave something: the end, or what
    // follows urgent data (tcp(7)).
    if ((events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP | EPOLLPRI)) != 0) short_reads_leave = true;
    if (short_reads_leave || (events & EPOLLIN) != 0) likely_readable = true;
    if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) likely_writable = true;
  }

  void OnEvents(uint32_t events) override {
    const std::shared_ptr<State> self = shared_from_this();
    const bool whole = (events & (EPOLLHUP | EPOLLERR)) != 0;
    const bool half = (events & EPOLLRDHUP) != 0;
    // Not if another one's turn has read all of it meanwhile.
    if ((short_reads_leave || (events & EPOLLIN) != 0) && likely_readable) Resume(&reading);
    if (whole || (events & EPOLLOUT) != 0) Resume(&writing);
    if (whole) {
      TellHangUp(HangUp::kWhole);
    } else if (half) {
      TellHangUp(HangUp::kHalf);
    }
  }

  void OnShutdown() override {
    poll_id = 0;
    const Resumption read = std::exchange(reading.resume, {});
    const Resumption write = std::exchange(writing.resume, {});
  }

  void TellHangUp(HangUp how) {
    if (closed || hung_up == HangUp::kWhole || hung_up == how) return;
    hung_up = how;
    // Which may replace itself.
    const std::function<void(HangUp)> callback = on_hang_up;
    if (callback != nullptr) callback(how);
  }

  void OnHangUp(std::function<void(HangUp)> callback) {
    if (closed) return;
    const bool waited = on_hang_up != nullptr;
    const bool waits = callback != nullptr;
    on_hang_up = std::move(callback);
    if (waits && !waited) poller.BeginWait();
    if (!waits && waited) poller.EndWait();
  }

  // As recv(2).
  ssize_t Receive(std::span<char> buffer) {
    if (!likely_readable) {
      errno = EAGAIN;
      return -1;
    }
    ssize_t count;
    do {
      count = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
    } while (count < 0 && errno == EINTR);
    const bool all = count >= 0 ? static_cast<size_t>(count) < buffer.size() && !short_reads_leave
                                : WouldBlock(errno);
    likely_readable = !all;
    return count;
  }

  // How the write ended; nullopt: not yet, the socket takes no more.
  std::optional<absl::Status> Send(Unsent* unsent) {
    std::optional<absl::Status> end = unsent->Send(fd.get());
    if (!end.has_value()) likely_writable = false;
    return end;
  }

  bool IsLikely(Direction direction) const {
    return direction == Direction::kRead ? likely_readable : likely_writable;
  }

  // As level-triggered: what is ready now counts, whoever saw its edge.
  bool ReadyNow(Direction direction) const {
    if (!IsLikely(direction)) return false;
    pollfd asked = {fd.get(), static_cast<short>(direction == Direction::kRead ? POLLIN : POLLOUT),
                    0};
    return ::poll(&asked, 1, 0) > 0;
  }

  void Close(How how) {
    if (closed) return;
    closed = true;
    armed = false;
    timer.cancel();
    Abort(&reading);
    Abort(&writing);
    if (on_hang_up != nullptr) poller.EndWait();
    on_hang_up = nullptr;
    if (poll_id != 0) poller.Remove(poll_id);
    if (!fd.valid()) return;
    if (how == How::kReset) {
      // RST instead of FIN. AF_UNIX knows no reset: hence ShareResets.
      if (was_reset != nullptr) *was_reset = true;
      const linger abort{1, 0};
      ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
    }
    fd.Reset();
  }

  // In an order that leaves few gaps: most of a proxy's streams are idle.
  Poller& poller;
  Timer timer;
  uint64_t poll_id = 0;
  std::function<void(HangUp)> on_hang_up;
  SteadyTime deadline = SteadyTime::max();
  SteadyTime armed_for;
  Pending reading;
  Pending writing;
  std::shared_ptr<TurnShare> turns;  // May be null.
  std::shared_ptr<bool> was_reset;   // Null: not of a pair.
  UniqueFd fd;
  int failed_by = 0;  // An errno: why the socket never became usable.
  std::optional<HangUp> hung_up;
  bool armed = false;
  bool closed = false;
  // False: there was nothing more to read, and no edge since.
  bool likely_readable;
  bool short_reads_leave = false;
  // False: it took no more, and no edge since.
  bool likely_writable;
  uint8_t turn = 0;  // Calls since the last wait, modulo 256.
};

namespace {

// The functions below hold the state by value: the stream may be destroyed while they wait.
using StatePtr = std::shared_ptr<TcpStream::State>;
using Direction = TcpStream::State::Direction;

Task<absl::Status> EndTurn(StatePtr state) {
  state->turn = 0;
  co_await Yield();
  co_return state->CheckUsable();
}

// As after a wait, for whoever did not have to.
Task<absl::Status> TakeTurn(StatePtr state) {
  if (!state->HasToWait()) co_return co_await EndTurn(state);
  co_await state->turns->Wait(Turn::kRead);
  co_return state->CheckUsable();
}

// Until the next edge.
Task<absl::Status> AwaitEdge(StatePtr state, Direction direction) {
  TcpStream::State::Pending& pending =
      direction == Direction::kRead ? state->reading : state->writing;
  absl::Status status = state->CheckUsable();
  while (status.ok()) {
    const bool came = co_await TcpStream::State::NextEdge{state.get(), &pending};
    if (came) {
      if (state->HasToWait()) co_await state->turns->Wait(Turn::kRead);
      co_return state->closed ? state->CheckUsable() : absl::OkStatus();
    }
    status = state->AfterAbort(pending);
  }
  co_return status;
}

// Before the next try: there may have been none, for want of a turn, or an edge since.
Task<absl::Status> AfterTry(StatePtr state, Direction direction) {
  if (state->turn > kTurn) return EndTurn(std::move(state));
  if (state->IsLikely(direction)) return state->CheckUsable();
  return AwaitEdge(std::move(state), direction);
}

Task<absl::Status> Wait(StatePtr state, Direction direction) {
  absl::Status status = state->CheckUsable();
  if (!status.ok() || !state->ReadyNow(direction)) return AwaitEdge(std::move(state), direction);
  return TakeTurn(std::move(state));
}

Task<absl::StatusOr<size_t>> ReadLater(StatePtr state, std::span<char> buffer) {
  absl::Status status = co_await AfterTry(state, Direction::kRead);
  while (status.ok()) {
    const ssize_t count = state->Receive(buffer);
    if (count >= 0) co_return static_cast<size_t>(count);
    if (!WouldBlock(errno)) co_return SocketError(errno, "read");
    status = co_await AwaitEdge(state, Direction::kRead);
  }
  co_return status;
}

Task<absl::Status> WriteLater(StatePtr state, Unsent unsent) {
  absl::Status status = co_await AfterTry(state, Direction::kWrite);
  while (status.ok()) {
    std::optional<absl::Status> end = state->Send(&unsent);
    if (end.has_value()) co_return *std::move(end);
    status = co_await AwaitEdge(state, Direction::kWrite);
  }
  co_return status;
}

}  // namespace

TcpStream::TcpStream(boost::asio::io_context& context, UniqueFd fd, Socket socket)
    : state_(std::make_shared<State>(context, std::move(fd), socket)) {}

TcpStream::~TcpStream() { state_->Close(How::kGraceful); }

Task<absl::StatusOr<size_t>> TcpStream::Read(std::span<char> buffer) {
  State& s = *state_;
  absl::Status usable = s.CheckUsable();
  if (!usable.ok()) return usable;
  if (++s.turn <= kTurn) {
    const ssize_t count = s.Receive(buffer);
    if (count >= 0) return static_cast<size_t>(count);
    if (!WouldBlock(errno)) return SocketError(errno, "read");
  }
  return ReadLater(state_, buffer);
}

Task<absl::Status> TcpStream::Write(std::span<const std::string_view> pieces) {
  State& s = *state_;
  absl::Status usable = s.CheckUsable();
  if (!usable.ok()) return usable;
  Unsent unsent(pieces);
  if (++s.turn <= kTurn) {
    std::optional<absl::Status> end = s.Send(&unsent);
    if (end.has_value()) return *std::move(end);
  }
  return WriteLater(state_, unsent);
}

Task<absl::Status> TcpStream::ShutdownWrite() {
  State& s = *state_;
  if (s.closed) return s.CheckUsable();
  if (::shutdown(s.fd.get(), SHUT_WR) != 0) return SocketError(errno, "shutdown");
  return absl::OkStatus();
}

void TcpStream::Close(How how) { state_->Close(how); }

void TcpStream::SetDeadline(SteadyTime deadline) {
  state_->deadline = deadline;
  if (state_->waiting()) state_->ArmTimer();
}

bool TcpStream::ReadableNow() {
  if (state_->closed) return true;
  char byte;
  const ssize_t count = ::recv(state_->fd.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  const bool readable = count >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
  // The edge may not have been told yet.
  if (readable) state_->likely_readable = true;
  return readable;
}

bool TcpStream::MayBeReadable() { return state_->closed || state_->likely_readable; }

bool TcpStream::SeemsQuiet() const {
  return !state_->closed && !state_->likely_readable && state_->poller.has_just_told();
}

ssize_t TcpStream::ReceiveNow(std::span<char> buffer) { return state_->Receive(buffer); }

void TcpStream::NoteDrained() { state_->likely_readable = false; }

void TcpStream::ShareResets(TcpStream& one, TcpStream& other) {
  one.state_->was_reset = other.state_->was_reset = std::make_shared<bool>(false);
}

bool TcpStream::other_was_reset() const {
  return state_->was_reset != nullptr && *state_->was_reset;
}

void TcpStream::LimitSilence(std::chrono::milliseconds limit) {
  const auto milliseconds = static_cast<unsigned>(limit.count());
  ::setsockopt(state_->fd.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds,
               sizeof(milliseconds));
}

void TcpStream::UseTurns(std::shared_ptr<TurnShare> turns) { state_->turns = std::move(turns); }

void TcpStream::OnHangUp(std::function<void(HangUp)> callback) {
  const std::shared_ptr<State> state = state_;
  state->OnHangUp(std::move(callback));
  if (!state->hung_up.has_value() || state->on_hang_up == nullptr) return;
  const std::function<void(HangUp)> told = state->on_hang_up;
  told(*state->hung_up);
}

int TcpStream::native_handle() { return state_->fd.get(); }

Task<absl::Status> TcpStream::WaitReadable() { return Wait(state_, Direction::kRead); }

Task<absl::Status> TcpStream::WaitWritable() { return Wait(state_, Direction::kWrite); }

}  // namespace sallyport::proxy
