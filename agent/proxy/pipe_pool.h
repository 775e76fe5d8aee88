// Pipes through which a worker's relays move bytes by splice(2).

#ifndef SALLYPORT_AGENT_PROXY_PIPE_POOL_H_
#define SALLYPORT_AGENT_PROXY_PIPE_POOL_H_

#include <sys/types.h>

#include <boost/asio/execution_context.hpp>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "common/base/unique_fd.h"

namespace sallyport::proxy {

// Belongs to the event loop of one worker, boost::asio::use_service<PipePool>(context). A busy
// direction of a relay borrows a pipe until it has nothing more to move, so there are about as many
// as there are stalled readers.
class PipePool final : public boost::asio::execution_context::service {
 public:
  static inline boost::asio::execution_context::id id;
  explicit PipePool(boost::asio::execution_context& context) : service(context) {}

  // Borrowed at the same time; each costs two descriptors, and up to its capacity of what a stalled
  // reader has not taken.
  static constexpr size_t kMaxBorrowed = 1024;
  static constexpr size_t kMaxIdle = 8;

  class Pipe;
  // nullopt: too many are borrowed, or the process is out of descriptors. Bytes can still be
  // copied.
  std::optional<Pipe> Borrow();

  size_t borrowed() const { return borrowed_; }
  size_t idle() const { return idle_.size(); }

 private:
  struct Ends {
    UniqueFd read;
    UniqueFd write;
    size_t capacity = 0;
  };
  static std::optional<Ends> Make();
  void shutdown() override { idle_.clear(); }

  std::vector<Ends> idle_;  // All empty.
  size_t borrowed_ = 0;
};

// Goes back to its pool if it is empty, and is closed otherwise: what is left in it belongs to one
// relay and must never come out in another.
class PipePool::Pipe {
 public:
  Pipe(Pipe&& other) noexcept;
  Pipe& operator=(Pipe&&) = delete;
  ~Pipe();

  // From a socket, as much as is there and fits, and at most `limit`; as splice(2): 0 is the end,
  // -1 with EAGAIN says that nothing is there. REQUIRES: held() == 0, or EAGAIN could also mean
  // that the pipe is full.
  ssize_t Fill(int socket, uint64_t limit = std::numeric_limits<uint64_t>::max());
  // To a socket, as much of held() as it takes; as splice(2), not 0.
  ssize_t Drain(int socket);
  // Bytes inside.
  size_t held() const { return held_; }

 private:
  friend class PipePool;
  Pipe(PipePool* pool, Ends ends);

  PipePool* pool_;  // Null: moved from.
  Ends ends_;
  size_t held_ = 0;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_PIPE_POOL_H_
