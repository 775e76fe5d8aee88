#include "agent/proxy/tcp_stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

#include "agent/proxy/hang_ups.h"

namespace sallyport::proxy {
namespace {

using Clock = std::chrono::steady_clock;
using Protocol = boost::asio::generic::stream_protocol;
using Socket = boost::asio::basic_stream_socket<Protocol, Executor>;
using Timer = boost::asio::basic_waitable_timer<Clock, boost::asio::wait_traits<Clock>, Executor>;

// System calls in a row that did not have to wait, after which other connections get their turn: a
// peer that is always ready would otherwise keep the worker for itself.
constexpr int kTurn = 32;
constexpr size_t kMaxPieces = 16;

// An operation that its awaiter's frame holds; kUseTask would make a frame of its own for it.
constexpr auto kInFrame = boost::asio::as_tuple(boost::asio::deferred);

absl::Status SocketError(int error, const char* operation) {
  return absl::UnavailableError(std::string(operation) + ": " + std::strerror(error));
}

// Asio's error codes of sockets carry errno values.
absl::Status SocketError(const boost::system::error_code& error, const char* operation) {
  return SocketError(error.value(), operation);
}

}  // namespace

struct TcpStream::State : std::enable_shared_from_this<TcpStream::State> {
  enum class Direction { kRead, kWrite };
  // One direction's operation. At most one at a time.
  struct Pending {
    bool waiting = false;
    bool timed_out = false;
  };

  State(boost::asio::io_context& context, UniqueFd fd)
      : context(context), socket(context.get_executor()), timer(context.get_executor()) {
    int domain = AF_INET;
    socklen_t length = sizeof(domain);
    ::getsockopt(fd.get(), SOL_SOCKET, SO_DOMAIN, &domain, &length);
    const int on = 1;
    // Heads and bodies are gathered before they are written. Fails on AF_UNIX, which needs no such
    // thing.
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    boost::system::error_code error;
    socket.assign(Protocol(domain, 0), fd.get(), error);
    if (!error) {
      fd.Release();
      socket.non_blocking(true, error);
    }
    if (error) {
      failure = SocketError(error, "socket");
      closed = true;
    }
  }

  absl::Status CheckUsable() {
    if (closed) {
      return failure.ok() ? absl::CancelledError("the connection was closed here") : failure;
    }
    if (deadline != SteadyTime::max() && Clock::now() >= deadline) return TimedOut();
    return absl::OkStatus();
  }

  static absl::Status TimedOut() { return absl::DeadlineExceededError("the peer took too long"); }

  // After a wait that ended early. OK: nothing is wrong, wait again.
  absl::Status AfterAbort(const Pending& pending, bool coroutine_cancelled) {
    if (pending.timed_out) return TimedOut();
    if (coroutine_cancelled) return absl::CancelledError("the operation was cancelled");
    return CheckUsable();
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
    if (!reading.waiting && !writing.waiting) return;
    if (Clock::now() < deadline) {
      ArmTimer();
      return;
    }
    reading.timed_out = reading.waiting;
    writing.timed_out = writing.waiting;
    boost::system::error_code ignored;
    socket.cancel(ignored);
  }

  // For its container's next turn.
  bool HasToWait() { return turns != nullptr && !turns->TryTake(Turn::kRead); }

  void Begin(Pending* pending) {
    pending->waiting = true;
    pending->timed_out = false;
    turn = 0;
    ArmTimer();
  }

  void Close(How how) {
    if (closed) return;
    closed = true;
    armed = false;
    timer.cancel();
    if (watch != 0) {
      boost::asio::use_service<HangUps>(context).Forget(watch, socket.native_handle());
    }
    on_hang_up = nullptr;
    if (how == How::kReset) {
      // RST instead of FIN. AF_UNIX knows no reset: there the peer sees one only if it left bytes
      // unread here.
      const linger abort{1, 0};
      ::setsockopt(socket.native_handle(), SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
    }
    boost::system::error_code ignored;
    socket.close(ignored);
  }

  void Watch() {
    if (watch != 0 || closed) return;
    const auto tell = [weak = weak_from_this()](HangUp how) {
      const std::shared_ptr<State> self = weak.lock();
      if (self == nullptr) return;
      self->hung_up = how;
      // Which may replace itself.
      const std::function<void(HangUp)> callback = self->on_hang_up;
      if (callback != nullptr) callback(how);
    };
    watch = boost::asio::use_service<HangUps>(context).Watch(socket.native_handle(), tell);
  }

  boost::asio::io_context& context;
  Socket socket;
  Timer timer;
  uint64_t watch = 0;  // 0: nobody has asked for it yet.
  std::optional<HangUp> hung_up;
  std::function<void(HangUp)> on_hang_up;
  SteadyTime deadline = SteadyTime::max();
  SteadyTime armed_for;
  bool armed = false;
  bool closed = false;
  absl::Status failure;  // Why the socket never became usable.
  Pending reading;
  Pending writing;
  // The last read filled its buffer, or there was none yet: the socket may well hold more.
  bool likely_readable = true;
  int turn = 0;
  std::shared_ptr<TurnShare> turns;  // May be null.
};

namespace {

// The functions below hold the state by value: the stream may be destroyed while they wait.
using StatePtr = std::shared_ptr<TcpStream::State>;
using Direction = TcpStream::State::Direction;

Task<absl::Status> EndTurn(StatePtr state) {
  state->turn = 0;
  co_await boost::asio::post(state->socket.get_executor(), kUseTask);
  co_return state->CheckUsable();
}

Task<absl::Status> Wait(StatePtr state, Direction direction) {
  const bool reads = direction == Direction::kRead;
  TcpStream::State::Pending& pending = reads ? state->reading : state->writing;
  absl::Status status = state->CheckUsable();
  while (status.ok()) {
    state->Begin(&pending);
    const auto [error] =
        co_await state->socket.async_wait(reads ? Socket::wait_read : Socket::wait_write, kInFrame);
    pending.waiting = false;
    if (!error) {
      if (state->HasToWait()) co_await state->turns->Wait(Turn::kRead);
      co_return state->closed ? state->CheckUsable() : absl::OkStatus();
    }
    if (error != boost::asio::error::operation_aborted) co_return SocketError(error, "wait");
    const auto cancellation = co_await boost::asio::this_coro::cancellation_state;
    status = state->AfterAbort(pending,
                               cancellation.cancelled() != boost::asio::cancellation_type::none);
  }
  co_return status;
}

Task<absl::StatusOr<size_t>> Read(StatePtr state, std::span<char> buffer) {
  absl::Status status = state->CheckUsable();
  if (status.ok() && ++state->turn > kTurn) status = co_await EndTurn(state);
  if (status.ok() && state->likely_readable) {
    ssize_t count;
    do {
      count = ::recv(state->socket.native_handle(), buffer.data(), buffer.size(), 0);
    } while (count < 0 && errno == EINTR);
    if (count >= 0) {
      state->likely_readable = static_cast<size_t>(count) == buffer.size();
      co_return static_cast<size_t>(count);
    }
    if (errno != EAGAIN && errno != EWOULDBLOCK) co_return SocketError(errno, "read");
  }
  while (status.ok()) {
    state->Begin(&state->reading);
    // Unlike async_wait, this needs no epoll_ctl(2): Asio tries to read, then waits for the edge.
    const auto [error, count] = co_await state->socket.async_receive(
        boost::asio::buffer(buffer.data(), buffer.size()), kInFrame);
    state->reading.waiting = false;
    if (!error || error == boost::asio::error::eof) {
      state->likely_readable = count == buffer.size();
      if (state->HasToWait()) co_await state->turns->Wait(Turn::kRead);
      if (state->closed) co_return state->CheckUsable();
      co_return count;
    }
    if (error != boost::asio::error::operation_aborted) co_return SocketError(error, "read");
    const auto cancellation = co_await boost::asio::this_coro::cancellation_state;
    status = state->AfterAbort(state->reading,
                               cancellation.cancelled() != boost::asio::cancellation_type::none);
  }
  co_return status;
}

// `pieces`, and the array that it views, stay with the caller.
Task<absl::Status> Write(StatePtr state, std::span<const std::string_view> pieces) {
  size_t skip = 0;  // Bytes of pieces[0] that are written.
  absl::Status status = state->CheckUsable();
  if (status.ok() && ++state->turn > kTurn) status = co_await EndTurn(state);
  while (status.ok()) {
    std::array<iovec, kMaxPieces> vectors;
    size_t count = 0;
    size_t total = 0;
    while (!pieces.empty() && pieces.front().size() == skip) {
      pieces = pieces.subspan(1);
      skip = 0;
    }
    for (size_t i = 0; i < pieces.size() && count < kMaxPieces; ++i) {
      const std::string_view piece = i == 0 ? pieces[i].substr(skip) : pieces[i];
      if (piece.empty()) continue;
      vectors[count++] = iovec{const_cast<char*>(piece.data()), piece.size()};
      total += piece.size();
    }
    if (total == 0) co_return absl::OkStatus();
    msghdr message = {};
    message.msg_iov = vectors.data();
    message.msg_iovlen = count;
    const ssize_t sent = ::sendmsg(state->socket.native_handle(), &message, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN && errno != EWOULDBLOCK) co_return SocketError(errno, "write");
      status = co_await Wait(state, Direction::kWrite);
      continue;
    }
    size_t left = static_cast<size_t>(sent);
    while (left > 0) {
      const size_t step = std::min(left, pieces.front().size() - skip);
      left -= step;
      skip += step;
      if (skip == pieces.front().size()) {
        pieces = pieces.subspan(1);
        skip = 0;
      }
    }
    if (pieces.empty()) co_return absl::OkStatus();
  }
  co_return status;
}

Task<absl::Status> Shutdown(StatePtr state) {
  if (state->closed) co_return state->CheckUsable();
  if (::shutdown(state->socket.native_handle(), SHUT_WR) != 0) {
    co_return SocketError(errno, "shutdown");
  }
  co_return absl::OkStatus();
}

}  // namespace

TcpStream::TcpStream(boost::asio::io_context& context, UniqueFd fd)
    : state_(std::make_shared<State>(context, std::move(fd))) {}

TcpStream::~TcpStream() { state_->Close(How::kGraceful); }

Task<absl::StatusOr<size_t>> TcpStream::Read(std::span<char> buffer) {
  return proxy::Read(state_, buffer);
}

Task<absl::Status> TcpStream::Write(std::span<const std::string_view> pieces) {
  return proxy::Write(state_, pieces);
}

Task<absl::Status> TcpStream::ShutdownWrite() { return Shutdown(state_); }

void TcpStream::Close(How how) { state_->Close(how); }

void TcpStream::SetDeadline(SteadyTime deadline) {
  state_->deadline = deadline;
  if (state_->reading.waiting || state_->writing.waiting) state_->ArmTimer();
}

bool TcpStream::ReadableNow() {
  if (state_->closed) return true;
  char byte;
  const ssize_t count = ::recv(state_->socket.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return count >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

void TcpStream::UseTurns(std::shared_ptr<TurnShare> turns) { state_->turns = std::move(turns); }

void TcpStream::OnHangUp(std::function<void(HangUp)> callback) {
  State& state = *state_;
  state.on_hang_up = std::move(callback);
  if (state.on_hang_up == nullptr) return;
  state.Watch();
  if (!state.hung_up.has_value()) return;
  const std::function<void(HangUp)> told = state.on_hang_up;
  told(*state.hung_up);
}

int TcpStream::native_handle() { return state_->socket.native_handle(); }

Task<absl::Status> TcpStream::WaitReadable() { return Wait(state_, Direction::kRead); }

Task<absl::Status> TcpStream::WaitWritable() { return Wait(state_, Direction::kWrite); }

}  // namespace sallyport::proxy
