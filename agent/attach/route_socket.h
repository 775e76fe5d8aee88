// Requests by rtnetlink.

#ifndef SALLYPORT_AGENT_ATTACH_ROUTE_SOCKET_H_
#define SALLYPORT_AGENT_ATTACH_ROUTE_SOCKET_H_

#include <libmnl/libmnl.h>
#include <linux/netlink.h>

#include <array>
#include <functional>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sallyport::agent {

// One rtnetlink socket of the namespace that the thread which opened it was in. Not thread-safe.
class RouteSocket {
 public:
  static absl::StatusOr<RouteSocket> Open();

  // The head of a request, in this object's buffer: until the next one.
  nlmsghdr* Begin(uint16_t type, uint16_t flags);
  // Sends what Begin began. An error is the kernel's.
  absl::Status Exchange(nlmsghdr* message);
  // The same, with what the kernel has to say; `message` began with NLM_F_DUMP, or asks for one
  // thing.
  absl::Status Ask(nlmsghdr* message, const std::function<void(const nlmsghdr*)>& answer);

 private:
  struct Close {
    void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
  };
  using Handle = std::unique_ptr<mnl_socket, Close>;
  using Answer = std::function<void(const nlmsghdr*)>;

  explicit RouteSocket(Handle socket) : socket_(std::move(socket)) {}

  Handle socket_;
  // More than an acknowledgement with the request in it, and what the kernel makes a dump's parts
  // of.
  alignas(nlmsghdr) std::array<char, 8192> buffer_;
  unsigned sequence_ = 0;
};

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_ATTACH_ROUTE_SOCKET_H_
