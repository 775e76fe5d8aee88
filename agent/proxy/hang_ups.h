// Which sockets their peers have hung up on.

#ifndef SALLYPORT_AGENT_PROXY_HANG_UPS_H_
#define SALLYPORT_AGENT_PROXY_HANG_UPS_H_

#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <functional>

#include "absl/container/flat_hash_map.h"
#include "agent/proxy/stream.h"

namespace sallyport::proxy {

// Of one io_context: boost::asio::use_service<HangUps>(context). Asio tells that a socket can be
// read, which it is as long as nobody reads what is there. This waits for the end alone
// (EPOLLRDHUP), and touches no byte. Belongs to the context's thread.
class HangUps final : public boost::asio::execution_context::service {
 public:
  using key_type = HangUps;
  static boost::asio::execution_context::id id;

  explicit HangUps(boost::asio::execution_context& context);
  ~HangUps() override;

  // `callback` is called from the event loop, at most once for each kind, until Forget. Returns
  // what Forget takes; 0: there is no descriptor left for it, and nothing will be told.
  uint64_t Watch(int fd, std::function<void(HangUp)> callback);
  // To be called before the descriptor is closed.
  void Forget(uint64_t id, int fd);

 private:
  void shutdown() override;
  void Await();
  void Deliver();

  boost::asio::posix::stream_descriptor epoll_;
  bool waiting_ = false;
  uint64_t last_id_ = 0;
  absl::flat_hash_map<uint64_t, std::function<void(HangUp)>> watched_;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANG_UPS_H_
