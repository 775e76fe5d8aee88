#include "agent/attach/route_socket.h"

#include <cerrno>

namespace sallyport::agent {

absl::StatusOr<RouteSocket> RouteSocket::Open() {
  Handle socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (socket == nullptr || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0) {
    return absl::ErrnoToStatus(errno, "no rtnetlink socket can be made");
  }
  return RouteSocket(std::move(socket));
}

nlmsghdr* RouteSocket::Begin(uint16_t type, uint16_t flags) {
  nlmsghdr* const message = mnl_nlmsg_put_header(buffer_.data());
  message->nlmsg_type = type;
  message->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
  message->nlmsg_seq = ++sequence_;
  return message;
}

absl::Status RouteSocket::Exchange(nlmsghdr* message) { return Ask(message, nullptr); }

absl::Status RouteSocket::Ask(nlmsghdr* message, const Answer& answer) {
  if (mnl_socket_sendto(socket_.get(), message, message->nlmsg_len) < 0) {
    return absl::ErrnoToStatus(errno, "rtnetlink");
  }
  const auto pass_on = [](const nlmsghdr* part, void* data) {
    const Answer& to = *static_cast<const Answer*>(data);
    if (to != nullptr) to(part);
    return MNL_CB_OK;
  };
  for (;;) {
    const ssize_t count = mnl_socket_recvfrom(socket_.get(), buffer_.data(), buffer_.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return absl::ErrnoToStatus(errno, "rtnetlink");
    const int more =
        mnl_cb_run(buffer_.data(), static_cast<size_t>(count), sequence_,
                   mnl_socket_get_portid(socket_.get()), pass_on, const_cast<Answer*>(&answer));
    if (more < 0) return absl::ErrnoToStatus(errno, "rtnetlink");
    if (more == MNL_CB_STOP) return absl::OkStatus();
  }
}

}  // namespace sallyport::agent
