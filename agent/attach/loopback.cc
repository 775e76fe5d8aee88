#include "agent/attach/loopback.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {
namespace {

constexpr int kLoopbackIndex = 1;

enum class Change { kAdd, kDelete };

struct Address {
  unsigned char family;
  unsigned char bits;
  std::array<unsigned char, 16> bytes;
  size_t length;
};

Address Parse(unsigned char family, const char* text) {
  Address address{family,
                  static_cast<unsigned char>(family == AF_INET ? 32 : 128),
                  {},
                  family == AF_INET ? size_t{4} : size_t{16}};
  inet_pton(family, text, address.bytes.data());
  return address;
}

// One rtnetlink socket of the calling thread's namespace.
class RouteSocket {
 public:
  static absl::StatusOr<RouteSocket> Open() {
    Handle socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
    if (socket == nullptr || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0) {
      return absl::ErrnoToStatus(errno, "no rtnetlink socket can be made");
    }
    return RouteSocket(std::move(socket));
  }

  absl::Status LinkUp(int index) {
    nlmsghdr* const message = Begin(RTM_NEWLINK, 0);
    auto* const link =
        static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ifinfomsg)));
    link->ifi_family = AF_UNSPEC;
    link->ifi_index = index;
    link->ifi_change = IFF_UP;
    link->ifi_flags = IFF_UP;
    return Exchange(message);
  }

  absl::Status ChangeAddress(Change change, const Address& address) {
    nlmsghdr* const message = change == Change::kAdd
                                  ? Begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE)
                                  : Begin(RTM_DELADDR, 0);
    auto* const header =
        static_cast<ifaddrmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ifaddrmsg)));
    header->ifa_family = address.family;
    header->ifa_prefixlen = address.bits;
    header->ifa_flags = IFA_F_PERMANENT | IFA_F_NODAD;
    header->ifa_scope = RT_SCOPE_UNIVERSE;
    header->ifa_index = kLoopbackIndex;
    mnl_attr_put(message, IFA_LOCAL, address.length, address.bytes.data());
    mnl_attr_put(message, IFA_ADDRESS, address.length, address.bytes.data());
    return Exchange(message);
  }

  // The route `local default dev lo src source`.
  absl::Status ChangeDefault(Change change, const Address& source) {
    nlmsghdr* const message = change == Change::kAdd
                                  ? Begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE)
                                  : Begin(RTM_DELROUTE, 0);
    auto* const route = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(rtmsg)));
    route->rtm_family = source.family;
    route->rtm_dst_len = 0;
    route->rtm_table = RT_TABLE_LOCAL;
    route->rtm_protocol = RTPROT_STATIC;
    route->rtm_scope = RT_SCOPE_HOST;
    route->rtm_type = RTN_LOCAL;
    mnl_attr_put_u32(message, RTA_OIF, kLoopbackIndex);
    mnl_attr_put(message, RTA_PREFSRC, source.length, source.bytes.data());
    return Exchange(message);
  }

 private:
  struct Close {
    void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
  };
  using Handle = std::unique_ptr<mnl_socket, Close>;

  explicit RouteSocket(Handle socket) : socket_(std::move(socket)) {}

  nlmsghdr* Begin(uint16_t type, uint16_t flags) {
    nlmsghdr* const message = mnl_nlmsg_put_header(buffer_.data());
    message->nlmsg_type = type;
    message->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    message->nlmsg_seq = ++sequence_;
    return message;
  }

  absl::Status Exchange(nlmsghdr* message) {
    if (mnl_socket_sendto(socket_.get(), message, message->nlmsg_len) < 0) {
      return absl::ErrnoToStatus(errno, "rtnetlink");
    }
    for (;;) {
      const ssize_t count = mnl_socket_recvfrom(socket_.get(), buffer_.data(), buffer_.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return absl::ErrnoToStatus(errno, "rtnetlink");
      const int more = mnl_cb_run(buffer_.data(), static_cast<size_t>(count), sequence_,
                                  mnl_socket_get_portid(socket_.get()), nullptr, nullptr);
      if (more < 0) return absl::ErrnoToStatus(errno, "rtnetlink");
      if (more == MNL_CB_STOP) return absl::OkStatus();
    }
  }

  Handle socket_;
  // More than an acknowledgement with the request in it.
  alignas(nlmsghdr) std::array<char, 4096> buffer_;
  unsigned sequence_ = 0;
};

absl::Status Explain(const char* doing, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(doing, ": ", status.message()));
}

// Container runtimes may turn IPv6 off in a namespace; its traffic must be met like any other.
absl::Status EnableIpv6() {
  static constexpr char kPath[] = "/proc/sys/net/ipv6/conf/lo/disable_ipv6";
  // Looked up in the namespace of the thread that opens it.
  UniqueFd setting(open(kPath, O_RDWR | O_CLOEXEC));
  if (!setting.valid()) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", kPath));
  char value = 0;
  if (pread(setting.get(), &value, 1, 0) == 1 && value == '0') return absl::OkStatus();
  if (pwrite(setting.get(), "0\n", 2, 0) != 2) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", kPath));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status MakeEveryAddressLocal() {
  RETURN_IF_ERROR(EnableIpv6());
  ASSIGN_OR_RETURN(RouteSocket socket, RouteSocket::Open());
  RETURN_IF_ERROR(Explain("setting lo up", socket.LinkUp(kLoopbackIndex)));
  for (const Address& source : {Parse(AF_INET, kSourceV4), Parse(AF_INET6, kSourceV6)}) {
    RETURN_IF_ERROR(Explain("adding an address to lo", socket.ChangeAddress(Change::kAdd, source)));
    RETURN_IF_ERROR(
        Explain("adding the default route", socket.ChangeDefault(Change::kAdd, source)));
  }
  return absl::OkStatus();
}

void UndoMakeEveryAddressLocal() {
  absl::StatusOr<RouteSocket> socket = RouteSocket::Open();
  if (!socket.ok()) return;
  for (const Address& source : {Parse(AF_INET, kSourceV4), Parse(AF_INET6, kSourceV6)}) {
    socket->ChangeDefault(Change::kDelete, source).IgnoreError();
    socket->ChangeAddress(Change::kDelete, source).IgnoreError();
  }
}

}  // namespace sallyport::agent
