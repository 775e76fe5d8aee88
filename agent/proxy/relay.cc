#include "agent/proxy/relay.h"

#include <poll.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "agent/proxy/event.h"
#include "agent/proxy/pipe_pool.h"
#include "agent/proxy/tcp_stream.h"

// Between two sockets bytes move inside the kernel, by splice(2), else they are copied. A direction
// in which nothing moves holds no pipe. Counted is what the kernel (for TLS: our end of it) has
// taken for the other side.

namespace sallyport::proxy {
namespace {

// What a direction that copies asks for at first, and once that was too little.
constexpr size_t kFirstBytes = 4 * 1024;
constexpr size_t kBusyBytes = 64 * 1024;
// A pipe's fills in a row that did not have to wait, after which other connections get their turn.
constexpr int kTurn = 4;
// Less than this came in one go: most likely that was all.
constexpr size_t kLittle = 4 * 1024;
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
  bool watched = false;  // Somebody looks out for a reset of `from`, if it is a socket.
};

enum class Moved {
  kAllThere,  // For now.
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
  boost::asio::co_spawn(*both->context, ResetBothOnceReset(both, direction->from_socket),
                        boost::asio::detached);
}

// Moves what is there through a pipe, which is empty again afterwards unless this fails.
Task<Moved> Splice(BothPtr both, Direction* direction, PipePool::Pipe pipe) {
  TcpStream* const from = direction->from_socket;
  TcpStream* const to = direction->to_socket;
  for (int turn = 1;; ++turn) {
    const ssize_t filled = pipe.Fill(from->native_handle());
    if (filled == 0) co_return Moved::kEnded;
    if (filled < 0) co_return errno == EAGAIN ? Moved::kAllThere : Moved::kFailed;
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
      co_await boost::asio::post(both->context->get_executor(), kUseTask);
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

// Returns whether the direction came to a clean end that was passed on.
Task<bool> MoveOneWay(BothPtr both, Direction direction) {
  const bool sockets = direction.from_socket != nullptr && direction.to_socket != nullptr;
  while (true) {
    if (sockets) {
      const absl::Status readable = co_await direction.from_socket->WaitReadable();
      if (!readable.ok()) co_return false;
    }
    std::optional<PipePool::Pipe> pipe =
        sockets ? boost::asio::use_service<PipePool>(*both->context).Borrow()
                : std::optional<PipePool::Pipe>();
    Moved moved = Moved::kFailed;
    if (pipe.has_value()) {
      moved = co_await Splice(both, &direction, *std::move(pipe));
    } else {
      moved = co_await Copy(both, &direction);
    }
    if (moved == Moved::kFailed) co_return false;
    if (moved == Moved::kEnded) {
      WatchForReset(both, &direction);
      const absl::Status shut = co_await direction.to->ShutdownWrite();
      co_return shut.ok();
    }
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
  boost::asio::co_spawn(*context, MoveToClient(both), boost::asio::detached);
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
