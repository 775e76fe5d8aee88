// Whose turn it is, among the containers of one worker.

#ifndef SALLYPORT_AGENT_PROXY_TURNS_H_
#define SALLYPORT_AGENT_PROXY_TURNS_H_

#include <boost/asio/io_context.hpp>
#include <coroutine>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "agent/proxy/task.h"

namespace sallyport::proxy {

// What runs from one wait of a coroutine to the next, by the part of a worker's time that it takes:
// a read that came, with what is done about it; some connections accepted; a signature.
enum class Turn : int { kRead = 1, kAccept = 8, kSignature = 16 };

// An event loop serves in the order in which things become ready: whoever becomes ready behind a
// thousand connections of another container would wait for them all. So in one pass through the
// loop a container has the time of sixteen reads, or of one signature; what is left of it waits for
// the next pass. One container's share on one worker; belongs to that worker.
class TurnShare : public std::enable_shared_from_this<TurnShare> {
 public:
  // The worker's.
  class Passes;
  // `passes` outlives every use of this.
  static std::shared_ptr<TurnShare> Create(Passes* passes);

  // False: it is not for this pass; Wait.
  bool TryTake(Turn turn);
  // Awaited: returns when the turn has come, which is soon.
  struct Awaiter {
    TurnShare* share;  // Outlives this.
    Turn turn;

    bool await_ready() const noexcept { return false; }
    template <typename Promise>
    void await_suspend(std::coroutine_handle<Promise> waiting) {
      share->Park(turn, Resumption(waiting));
    }
    void await_resume() const noexcept {}
  };
  Awaiter Wait(Turn turn) { return {this, turn}; }

 private:
  struct Waiter {
    Turn turn;
    Resumption resume;
  };

  explicit TurnShare(Passes* passes) : passes_(passes) {}
  bool HasRoom(Turn turn) const;
  void Use(Turn turn);
  void Park(Turn turn, Resumption resume);
  // Has a new pass's share, and lets those go on who waited for it.
  void BeginPass();

  Passes* const passes_;
  int used_ = 0;  // Of this pass.
  bool counted_ = false;
  std::deque<Waiter> waiters_;
};

// The shares of which something was used, or is waited for, in this pass.
class TurnShare::Passes {
 public:
  // `context` outlives this.
  explicit Passes(boost::asio::io_context& context) : context_(context) {}
  // Gives up those who wait.
  ~Passes();
  Passes(const Passes&) = delete;
  Passes& operator=(const Passes&) = delete;

  // Has `share` begin anew with the next pass.
  void Count(std::shared_ptr<TurnShare> share);

 private:
  void Next();

  boost::asio::io_context& context_;
  bool begun_ = false;
  std::vector<std::shared_ptr<TurnShare>> counted_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TURNS_H_
