// Accepts the connections of one container from one of its listening sockets.

#ifndef SALLYPORT_AGENT_PROXY_LISTENER_H_
#define SALLYPORT_AGENT_PROXY_LISTENER_H_

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>

#include "agent/proxy/task.h"
#include "common/base/unique_fd.h"

namespace sallyport::proxy {

class Container;

// Belongs to one worker; workers share the socket, each through a descriptor of its own.
class Listener : public std::enable_shared_from_this<Listener> {
 public:
  // Connections beyond this many of one container and worker are reset.
  static constexpr size_t kMaxConnections = 10'000;

  Listener(boost::asio::io_context& context, UniqueFd socket, std::shared_ptr<Container> container);

  // Accepts until Stop.
  void Start();
  void Stop();

 private:
  static Task<void> AcceptLoop(std::shared_ptr<Listener> self);
  // Takes every connection that waits. False: the process is out of descriptors.
  bool AcceptWaiting();

  boost::asio::posix::basic_stream_descriptor<Executor> descriptor_;
  boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                    boost::asio::wait_traits<std::chrono::steady_clock>, Executor>
      pause_;
  const std::shared_ptr<Container> container_;
  bool stopped_ = false;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_LISTENER_H_
