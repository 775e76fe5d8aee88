// c-ares on an io_context.

#ifndef SALLYPORT_AGENT_PROXY_DNS_ARES_CHANNEL_H_
#define SALLYPORT_AGENT_PROXY_DNS_ARES_CHANNEL_H_

#include <ares.h>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "agent/proxy/task.h"
#include "common/net/address.h"

namespace sallyport::proxy {

struct DnsServerAddress {
  IpAddress address;
  uint16_t port = 53;

  // ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT.
  static absl::StatusOr<DnsServerAddress> Parse(std::string_view text);
};

// One c-ares channel, its sockets and its clock. Belongs to one worker.
class AresChannel : public std::enable_shared_from_this<AresChannel> {
 public:
  using Done = std::function<void(absl::StatusOr<std::string> answer)>;

  // `budget` is shared between the attempts so that every server is asked twice within it.
  static absl::StatusOr<std::shared_ptr<AresChannel>> Create(
      boost::asio::io_context& context, const std::vector<DnsServerAddress>& servers,
      std::chrono::milliseconds budget);
  ~AresChannel();

  // Calls `done` exactly once, perhaps before it returns; at the latest in Close.
  void Query(const std::string& name, int type, Done done);
  // Ends every query and closes every socket. Idempotent.
  void Close();
  bool closed() const { return channel_ == nullptr; }

 private:
  using Clock = std::chrono::steady_clock;
  // A socket of c-ares. c-ares closes it; this only waits.
  struct Watch {
    explicit Watch(boost::asio::io_context& context) : descriptor(context.get_executor()) {}
    boost::asio::posix::basic_stream_descriptor<Executor> descriptor;
    bool wants_read = false;
    bool wants_write = false;
    bool reading = false;
    bool writing = false;
  };
  struct Call;

  AresChannel(boost::asio::io_context& context, std::chrono::milliseconds attempt);

  static void OnSocketState(void* self, ares_socket_t socket, int readable, int writable);
  static void OnAnswer(void* call, int status, int timeouts, unsigned char* bytes, int length);
  void Arm(const std::shared_ptr<Watch>& watch);
  void ArmTimer();

  boost::asio::io_context& context_;
  const std::chrono::milliseconds attempt_;  // How long a server may take at first.
  ares_channel channel_ = nullptr;
  absl::flat_hash_map<ares_socket_t, std::shared_ptr<Watch>> watches_;
  boost::asio::basic_waitable_timer<Clock, boost::asio::wait_traits<Clock>, Executor> timer_;
  bool timer_armed_ = false;
  size_t under_way_ = 0;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_DNS_ARES_CHANNEL_H_
