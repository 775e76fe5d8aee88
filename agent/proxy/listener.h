// Accepts the connections of one container from one of its listening sockets.

#ifndef SALLYPORT_AGENT_PROXY_LISTENER_H_
#define SALLYPORT_AGENT_PROXY_LISTENER_H_

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <optional>

#include "agent/proxy/admission.h"
#include "agent/proxy/task.h"
#include "common/base/unique_fd.h"

namespace sallyport::proxy {

class Container;

// Belongs to one worker; workers share the socket, each through a descriptor of its own.
class Listener : public std::enable_shared_from_this<Listener> {
 public:
  Listener(boost::asio::io_context& context, UniqueFd socket, std::shared_ptr<Container> container);

  // Accepts until Stop.
  void Start();
  void Stop();

 private:
  static Task<void> AcceptLoop(std::shared_ptr<Listener> self);
  // Takes the connections that wait and for which there is room. Returns how long those that are
  // left have to wait; zero: none is left, or there is room for them.
  std::chrono::milliseconds AcceptWaiting();
  std::chrono::milliseconds PauseFor(const NotYet& not_yet);
  std::chrono::milliseconds PauseWithoutDescriptors();

  boost::asio::posix::basic_stream_descriptor<Executor> descriptor_;
  boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                    boost::asio::wait_traits<std::chrono::steady_clock>, Executor>
      pause_;
  const std::shared_ptr<Container> container_;
  bool stopped_ = false;
  // What connections wait for, while they do, so that each wait counts once.
  std::optional<NotYet> waits_for_;
  std::chrono::milliseconds descriptor_pause_{0};
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_LISTENER_H_
