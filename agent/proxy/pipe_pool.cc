#include "agent/proxy/pipe_pool.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace sallyport::proxy {
namespace {

// Wanted; the kernel gives less to a user who has many pipes (pipe(7), pipe-user-pages-soft).
constexpr int kCapacity = 256 * 1024;

ssize_t Splice(int from, int to, size_t size) {
  ssize_t moved;
  do {
    moved = ::splice(from, nullptr, to, nullptr, size, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
  } while (moved < 0 && errno == EINTR);
  return moved;
}

}  // namespace

std::optional<PipePool::Ends> PipePool::Make() {
  int ends[2];
  if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return std::nullopt;
  Ends made{UniqueFd(ends[0]), UniqueFd(ends[1])};
  int capacity = ::fcntl(made.write.get(), F_SETPIPE_SZ, kCapacity);
  if (capacity <= 0) capacity = ::fcntl(made.write.get(), F_GETPIPE_SZ);
  if (capacity <= 0) return std::nullopt;
  made.capacity = static_cast<size_t>(capacity);
  return made;
}

std::optional<PipePool::Pipe> PipePool::Borrow() {
  if (borrowed_ >= kMaxBorrowed) return std::nullopt;
  if (!idle_.empty()) {
    Ends ends = std::move(idle_.back());
    idle_.pop_back();
    return Pipe(this, std::move(ends));
  }
  std::optional<Ends> made = Make();
  if (!made.has_value()) return std::nullopt;
  return Pipe(this, *std::move(made));
}

PipePool::Pipe::Pipe(PipePool* pool, Ends ends) : pool_(pool), ends_(std::move(ends)) {
  ++pool_->borrowed_;
}

PipePool::Pipe::Pipe(Pipe&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)),
      ends_(std::move(other.ends_)),
      held_(other.held_) {}

PipePool::Pipe::~Pipe() {
  if (pool_ == nullptr) return;
  --pool_->borrowed_;
  if (held_ == 0 && pool_->idle_.size() < kMaxIdle) pool_->idle_.push_back(std::move(ends_));
}

ssize_t PipePool::Pipe::Fill(int socket, uint64_t limit) {
  const ssize_t moved =
      Splice(socket, ends_.write.get(), std::min<uint64_t>(ends_.capacity, limit));
  if (moved > 0) held_ += static_cast<size_t>(moved);
  return moved;
}

ssize_t PipePool::Pipe::Drain(int socket) {
  // Never asks for more than there is: the kernel would hold back the last segment, waiting for the
  // rest.
  const ssize_t moved = Splice(ends_.read.get(), socket, held_);
  if (moved > 0) held_ -= static_cast<size_t>(moved);
  return moved;
}

}  // namespace sallyport::proxy
