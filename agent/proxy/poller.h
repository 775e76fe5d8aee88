// Which sockets have become ready.

#ifndef SALLYPORT_AGENT_PROXY_POLLER_H_
#define SALLYPORT_AGENT_PROXY_POLLER_H_

#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>

#include "absl/container/flat_hash_map.h"

namespace sallyport::proxy {

// Of one io_context: boost::asio::use_service<Poller>(context). An epoll(7) of its own beside
// Asio's, edge-triggered, that says more: that a peer has hung up (EPOLLRDHUP), whatever of it is
// still unread. So a read that did not fill its buffer was the last for now, and nobody has to ask
// the kernel again before waiting. Belongs to the context's thread.
class Poller final : public boost::asio::execution_context::service {
 public:
  using key_type = Poller;
  static boost::asio::execution_context::id id;

  // Whoever is told of a socket.
  class Client {
   public:
    virtual ~Client() = default;
    // `events` as in epoll_event, from the event loop. First everybody notes what has happened,
    // then they act upon it one by one. Clients may come and go meanwhile.
    virtual void NoteEvents(uint32_t events) = 0;
    virtual void OnEvents(uint32_t events) = 0;
    // The context ends, before whatever its coroutines hold: they are to be given up.
    virtual void OnShutdown() = 0;
  };

  explicit Poller(boost::asio::execution_context& context);
  ~Poller() override;

  // `client` is told of each edge until Remove. Returns what Remove takes; 0 with errno set: it
  // would never be told.
  uint64_t Add(int fd, Client* client);
  // To be called before the descriptor is closed.
  void Remove(uint64_t id);
  // Somebody waits to be told, or no longer does. An event loop for which nobody waits ends.
  void BeginWait();
  void EndWait();
  // What had happened when the event loop's present pass began has been told, or is being told.
  // (Nothing is while nobody waits.)
  bool has_just_told() const { return has_just_told_; }

 private:
  void shutdown() override;
  void Await();
  // Tells what has happened; how much.
  int Deliver();
  void DeliverMore();

  boost::asio::io_context& context_;
  boost::asio::posix::stream_descriptor epoll_;
  bool awaiting_ = false;  // For epoll_ to become readable, or for the loop's next pass.
  bool delivering_ = false;
  bool has_just_told_ = false;
  uint64_t waits_ = 0;
  uint64_t last_id_ = 0;
  absl::flat_hash_map<uint64_t, Client*> clients_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_POLLER_H_
