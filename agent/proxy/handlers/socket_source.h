// Connections to Unix sockets of the host, which this process cannot see: the agent makes them.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_SOCKET_SOURCE_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_SOCKET_SOURCE_H_

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "agent/proxy/tcp_stream.h"
#include "common/base/unique_fd.h"

namespace sallyport::proxy {

// The proxy's end of the way to sockets (control.proto, NeedSocket). Thread-safe: a request is one
// packet, and its answer comes on a socket of its own.
class SocketSource {
 public:
  explicit SocketSource(UniqueFd way) : way_(std::move(way)) {}

  // A descriptor on which the answer, one frame, will come. UNAVAILABLE: the agent is gone, or does
  // not keep up.
  absl::StatusOr<UniqueFd> Ask(const std::string& path) const;

 private:
  const UniqueFd way_;
};

// UNAVAILABLE, with the agent's reason: there is no connection to be had. DEADLINE_EXCEEDED.
Task<absl::StatusOr<std::unique_ptr<TcpStream>>> ConnectToSocket(
    boost::asio::io_context* context, std::shared_ptr<const SocketSource> source, std::string path,
    SteadyTime deadline);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_SOCKET_SOURCE_H_
