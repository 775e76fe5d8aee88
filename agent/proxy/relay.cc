#include "agent/proxy/relay.h"

#include <poll.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "agent/proxy/event.h"
#include "agent/proxy/pipe_pool.h"
#include "agent/proxy/tcp_stream.h"

// Between two sockets more than a little moves inside the kernel, by splice(2), else bytes are
// copied. A direction in which nothing moves holds no pipe. Counted is what the kernel (for TLS:
// our end of it) has taken for the other side.

namespace sallyport::proxy {
namespace {

// What a direction that copies asks for at first, and once that was too little.
constexpr size_t kFirstBytes = 4 * 1024;
constexpr size_t kBusyBytes = 64 * 1024;
// A pipe's fills in a row that did not have to wait, after which other connections get their turn.
constexpr int kTurn = 4;
// Less than this came in one go: most likely that was all.
constexpr size_t kLittle = 4 * 1024;
// Whoever sends so much in one go most likely goes on.
constexpr size_t kMuch = 64 * 1024;
// How often a side that is not being read is asked whether it has reset.
constexpr std::chrono::seconds kResetCheck{1};

// The two directions of one relay; lives until both have ended and nobody watches either.
struct Both {
  Both(boost::asio::io_context* context, Stream* client, Stream* upstream,
       std::chrono::milliseconds idle_time)
      : context(context),
        client(client),
        upstream(upstream),
        idle_time(idle_time),
        other_done(*context),
        over(*context) {}

  // Activity in either direction keeps both alive.
  void Touch() {
    const SteadyTime deadline = std::chrono::steady_clock::now() + idle_time;
    client->SetDeadline(deadline);
    upstream->SetDeadline(deadline);
  }
  void ResetBoth() {
    client->Close(Stream::How::kReset);
    upstream->Close(Stream::How::kReset);
  }

  boost::asio::io_context* const context;
  Stream* const client;
  Stream* const upstream;
  const std::chrono::milliseconds idle_time;
  RelayedBytes bytes;
  bool one_has_ended = false;  // Of the directions, cleanly.
  Event other_done;
  Event over;  // The streams may be gone.
};
using BothPtr = std::shared_ptr<Both>;

struct Direction {
  Direction(Stream* from, Stream* to, uint64_t* count)
      : from(from),
        to(to),
        from_socket(dynamic_cast<TcpStream*>(from)),
        to_socket(dynamic_cast<TcpStream*>(to)),
        count(count) {}

  Stream* from;
  Stream* to;
  // Null: not a socket.
  TcpStream* from_socket;
  TcpStream* to_socket;
  uint64_t* count;
  bool busy = false;     // Much moved the last time.
  bool watched = false;  // Somebody looks out for a reset of `from`, if it is a socket.
};

enum class Moved {
  kAllThere,  // For now.
  kMore,      // There may be.
  kEnded,
  kFailed,
};

bool IsReset(int socket) {
  pollfd asked = {.fd = socket, .events = 0, .revents = 0};
  return ::poll(&asked, 1, 0) == 1 && (asked.revents & POLLERR) != 0;
}

Task<void> ResetBothOnceReset(BothPtr both, TcpStream* stream) {
  while (true) {
    const absl::Status over =
        co_await both->over.Wait(std::chrono::steady_clock::now() + kResetCheck);
    if (over.ok()) co_return;
    if (IsReset(stream->native_handle())) both->ResetBoth();
  }
}

// For a direction that does not read: it has ended, or its reader stalls.
void WatchForReset(const BothPtr& both, Direction* direction) {
  if (direction->from_socket == nullptr || std::exchange(direction->watched, true)) return;
  Spawn(*both->context, ResetBothOnceReset(both, direction->from_socket));
}

// Moves what is there through a pipe, which is empty again afterwards unless this fails.
Task<Moved> Splice(BothPtr both, Direction* direction, PipePool::Pipe pipe) {
  TcpStream* const from = direction->from_socket;
  TcpStream* const to = direction->to_socket;
  for (int turn = 1;; ++turn) {
    const ssize_t filled = pipe.Fill(from->native_handle());
    if (filled == 0) co_return Moved::kEnded;
    if (filled < 0 && errno != EAGAIN) co_return Moved::kFailed;
    if (filled < 0) {
      from->NoteDrained();
      co_return Moved::kAllThere;
    }
    both->Touch();
    while (pipe.held() > 0) {
      const ssize_t drained = pipe.Drain(to->native_handle());
      if (drained > 0) {
        *direction->count += static_cast<uint64_t>(drained);
        continue;
      }
      if (drained == 0 || errno != EAGAIN) co_return Moved::kFailed;
      WatchForReset(both, direction);
      const absl::Status writable = co_await to->WaitWritable();
      if (!writable.ok()) co_return Moved::kFailed;
      both->Touch();
      turn = 0;
    }
    if (static_cast<size_t>(filled) < kLittle) co_return Moved::kAllThere;
    if (turn >= kTurn) {
      turn = 0;
      co_await Yield();
    }
  }
}

Task<Moved> Copy(BothPtr both, Direction* direction) {
  size_t capacity = kFirstBytes;
  // Not make_unique, which would write zeros.
  std::unique_ptr<char[]> buffer(new char[capacity]);
  while (true) {
    const absl::StatusOr<size_t> read =
        co_await direction->from->Read(std::span(buffer.get(), capacity));
    if (!read.ok()) co_return Moved::kFailed;
    if (*read == 0) co_return Moved::kEnded;
    both->Touch();
    const std::string_view piece(buffer.get(), *read);
    const absl::Status written = co_await direction->to->Write(std::span(&piece, 1));
    if (!written.ok()) co_return Moved::kFailed;
    *direction->count += *read;
    both->Touch();
    if (*read < capacity) co_return Moved::kAllThere;
    if (capacity < kBusyBytes) {
      capacity = kBusyBytes;
      buffer.reset(new char[capacity]);
    }
  }
}

// Between sockets, a little of what is there: for that the two calls of a pipe cost more.
Task<Moved> CopyLittle(BothPtr both, Direction* direction) {
  std::unique_ptr<char[]> buffer(new char[kLittle]);
  const ssize_t read = direction->from_socket->ReceiveNow(std::span(buffer.get(), kLittle));
  if (read == 0) co_return Moved::kEnded;
  if (read < 0) co_return errno == EAGAIN ? Moved::kAllThere : Moved::kFailed;
  both->Touch();
  const std::string_view piece(buffer.get(), static_cast<size_t>(read));
  Task<absl::Status> write = direction->to->Write(std::span(&piece, 1));
  if (!write.is_over()) WatchForReset(both, direction);
  const absl::Status written = co_await std::move(write);
  if (!written.ok()) co_return Moved::kFailed;
  *direction->count += piece.size();
  co_return piece.size() < kLittle ? Moved::kAllThere : Moved::kMore;
}

Task<Moved> MoveMuch(BothPtr both, Direction* direction) {
  std::optional<PipePool::Pipe> pipe = boost::asio::use_service<PipePool>(*both->context).Borrow();
  if (!pipe.has_value()) return Copy(std::move(both), direction);
  return Splice(std::move(both), direction, *std::move(pipe));
}

Task<Moved> MoveBetweenSockets(BothPtr both, Direction* direction) {
  TcpStream* const from = direction->from_socket;
  if (!from->MayBeReadable()) {
    const absl::Status readable = co_await from->WaitReadable();
    if (!readable.ok()) co_return Moved::kFailed;
  }
  const uint64_t before = *direction->count;
  Moved moved = Moved::kMore;
  if (!direction->busy) moved = co_await CopyLittle(both, direction);
  if (moved == Moved::kMore) moved = co_await MoveMuch(both, direction);
  direction->busy = *direction->count - before >= kMuch;
  co_return moved;
}

// Returns whether the direction came to a clean end that was passed on.
Task<bool> MoveOneWay(BothPtr both, Direction direction) {
  const bool sockets = direction.from_socket != nullptr && direction.to_socket != nullptr;
  while (true) {
    const Moved moved =
        co_await (sockets ? MoveBetweenSockets(both, &direction) : Copy(both, &direction));
    if (moved == Moved::kFailed) co_return false;
    if (moved != Moved::kEnded) continue;
    if (direction.from_socket != nullptr && direction.from_socket->other_was_reset())
      co_return false;
    // What has all been passed on both ways is closed at once, which says the same on a socket.
    const bool last = std::exchange(both->one_has_ended, true);
    if (last && direction.to_socket != nullptr) co_return true;
    WatchForReset(both, &direction);
    const absl::Status shut = co_await direction.to->ShutdownWrite();
    co_return shut.ok();
  }
}

Task<void> MoveToClient(BothPtr both) {
  const bool clean =
      co_await MoveOneWay(both, Direction{both->upstream, both->client, &both->bytes.to_client});
  if (!clean) both->ResetBoth();
  both->other_done.Notify();
}

}  // namespace

Task<RelayedBytes> RelayBytes(boost::asio::io_context* context, Stream* client, Stream* upstream,
                              std::string early, std::chrono::milliseconds idle_time) {
  auto both = std::make_shared<Both>(context, client, upstream, idle_time);
  both->Touch();
  const std::string_view first = early;
  const absl::Status written = co_await upstream->Write(std::span(&first, 1));
  if (!written.ok()) {
    both->ResetBoth();
    co_return both->bytes;
  }
  both->bytes.from_client = early.size();
  early = std::string();
  Spawn(*context, MoveToClient(both));
  const bool clean =
      co_await MoveOneWay(both, Direction{client, upstream, &both->bytes.from_client});
  if (!clean) both->ResetBoth();
  // Ends: every wait of the other direction has a deadline.
  (void)co_await both->other_done.Wait(SteadyTime::max());
  both->over.Notify();
  client->Close(Stream::How::kGraceful);
  upstream->Close(Stream::How::kGraceful);
  co_return both->bytes;
}

}  // namespace sallyport::proxy
