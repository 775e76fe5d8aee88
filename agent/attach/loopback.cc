#include "agent/attach/loopback.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ipv6.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "agent/attach/route_socket.h"
#include "common/base/status.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {
namespace {

constexpr int kLoopbackIndex = 1;
constexpr uint32_t kCaptureTable = 15001;
constexpr uint32_t kReplyPriority = 100;

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

absl::Status LinkUp(RouteSocket* socket, int index) {
  nlmsghdr* const message = socket->Begin(RTM_NEWLINK, 0);
  auto* const link =
      static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ifinfomsg)));
  link->ifi_family = AF_UNSPEC;
  link->ifi_index = index;
  link->ifi_change = IFF_UP;
  link->ifi_flags = IFF_UP;
  return socket->Exchange(message);
}

absl::Status ChangeAddress(RouteSocket* socket, Change change, const Address& address) {
  nlmsghdr* const message = change == Change::kAdd
                                ? socket->Begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE)
                                : socket->Begin(RTM_DELADDR, 0);
  auto* const header =
      static_cast<ifaddrmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ifaddrmsg)));
  header->ifa_family = address.family;
  header->ifa_prefixlen = address.bits;
  header->ifa_flags = IFA_F_PERMANENT | IFA_F_NODAD;
  header->ifa_scope = RT_SCOPE_UNIVERSE;
  header->ifa_index = kLoopbackIndex;
  mnl_attr_put(message, IFA_LOCAL, address.length, address.bytes.data());
  mnl_attr_put(message, IFA_ADDRESS, address.length, address.bytes.data());
  return socket->Exchange(message);
}

// The route `local default dev lo src source`.
absl::Status ChangeDefault(RouteSocket* socket, Change change, const Address& source,
                           uint32_t table = RT_TABLE_LOCAL) {
  nlmsghdr* const message = change == Change::kAdd
                                ? socket->Begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE)
                                : socket->Begin(RTM_DELROUTE, 0);
  auto* const route = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(rtmsg)));
  route->rtm_family = source.family;
  route->rtm_dst_len = 0;
  route->rtm_table = RT_TABLE_UNSPEC;
  route->rtm_protocol = RTPROT_STATIC;
  route->rtm_scope = RT_SCOPE_HOST;
  route->rtm_type = RTN_LOCAL;
  mnl_attr_put_u32(message, RTA_TABLE, table);
  mnl_attr_put_u32(message, RTA_OIF, kLoopbackIndex);
  mnl_attr_put(message, RTA_PREFSRC, source.length, source.bytes.data());
  return socket->Exchange(message);
}

absl::Status Explain(const char* doing, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(doing, ": ", status.message()));
}

// One that is there already is as good. `mark` 0: of every packet.
absl::Status AddRule(RouteSocket* socket, unsigned char family, uint32_t priority, uint32_t mark,
                     uint32_t table) {
  nlmsghdr* const message = socket->Begin(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL);
  auto* const rule =
      static_cast<fib_rule_hdr*>(mnl_nlmsg_put_extra_header(message, sizeof(fib_rule_hdr)));
  rule->family = family;
  rule->action = FR_ACT_TO_TBL;
  mnl_attr_put_u32(message, FRA_TABLE, table);
  mnl_attr_put_u32(message, FRA_PRIORITY, priority);
  if (mark != 0) mnl_attr_put_u32(message, FRA_FWMARK, mark);
  const absl::Status added = socket->Exchange(message);
  return absl::IsAlreadyExists(added) ? absl::OkStatus() : added;
}

// Looked up in the namespace of the thread that opens it.
absl::Status Set(const char* path, char wanted) {
  UniqueFd setting(open(path, O_RDWR | O_CLOEXEC));
  if (!setting.valid()) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  char value = 0;
  if (pread(setting.get(), &value, 1, 0) == 1 && value == wanted) return absl::OkStatus();
  const char line[] = {wanted, '\n'};
  if (pwrite(setting.get(), line, sizeof(line), 0) != sizeof(line)) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
  }
  return absl::OkStatus();
}

// Of the settings that the kernel tells of an interface, by their DEVCONF_ numbers.
int TakeIpv6Settings(const nlattr* attribute, void* data) {
  constexpr size_t kEnd = (DEVCONF_DISABLE_IPV6 + 1) * sizeof(int32_t);
  if (mnl_attr_get_type(attribute) != IFLA_INET6_CONF ||
      mnl_attr_get_payload_len(attribute) < kEnd) {
    return MNL_CB_OK;
  }
  const auto* const settings = static_cast<const char*>(mnl_attr_get_payload(attribute));
  int32_t disabled = 0;
  std::memcpy(&disabled, settings + kEnd - sizeof(disabled), sizeof(disabled));
  *static_cast<std::optional<bool>*>(data) = disabled == 0;
  return MNL_CB_OK;
}

int TakeFamily(const nlattr* attribute, void* data) {
  if (mnl_attr_get_type(attribute) != AF_INET6) return MNL_CB_OK;
  return mnl_attr_parse_nested(attribute, TakeIpv6Settings, data);
}

int TakeFamilies(const nlattr* attribute, void* data) {
  if (mnl_attr_get_type(attribute) != IFLA_AF_SPEC) return MNL_CB_OK;
  return mnl_attr_parse_nested(attribute, TakeFamily, data);
}

// Whether `lo` takes part in IPv6; nullopt: the kernel does not say.
absl::StatusOr<std::optional<bool>> HasIpv6(RouteSocket* socket) {
  nlmsghdr* const message = socket->Begin(RTM_GETLINK, 0);
  auto* const link =
      static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ifinfomsg)));
  link->ifi_family = AF_UNSPEC;
  link->ifi_index = kLoopbackIndex;
  std::optional<bool> has;
  RETURN_IF_ERROR(socket->Ask(message, [&has](const nlmsghdr* part) {
    if (part->nlmsg_type == RTM_NEWLINK)
      mnl_attr_parse(part, sizeof(ifinfomsg), TakeFamilies, &has);
  }));
  return has;
}

// Container runtimes may turn IPv6 off in a namespace; its traffic must be met like any other. The
// kernel finds a file below /proc/sys/net by looking through those of all namespaces: it is opened
// only if something is to be changed.
absl::Status EnableIpv6(RouteSocket* socket) {
  ASSIGN_OR_RETURN(const std::optional<bool> has, HasIpv6(socket));
  if (has == true) return absl::OkStatus();
  return Set("/proc/sys/net/ipv6/conf/lo/disable_ipv6", '0');
}

// Answers carry the mark of what they answer, and marks count where sources are checked.
absl::Status ReflectMarks() {
  for (const char* path :
       {"/proc/sys/net/ipv4/tcp_fwmark_accept", "/proc/sys/net/ipv4/fwmark_reflect",
        "/proc/sys/net/ipv6/fwmark_reflect", "/proc/sys/net/ipv4/conf/all/src_valid_mark"}) {
    RETURN_IF_ERROR(Set(path, '1'));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status MakeEveryAddressLocal() {
  ASSIGN_OR_RETURN(RouteSocket socket, RouteSocket::Open());
  RETURN_IF_ERROR(Explain("turning on IPv6", EnableIpv6(&socket)));
  RETURN_IF_ERROR(Explain("setting lo up", LinkUp(&socket, kLoopbackIndex)));
  for (const Address& source : {Parse(AF_INET, kSourceV4), Parse(AF_INET6, kSourceV6)}) {
    RETURN_IF_ERROR(
        Explain("adding an address to lo", ChangeAddress(&socket, Change::kAdd, source)));
    RETURN_IF_ERROR(
        Explain("adding the default route", ChangeDefault(&socket, Change::kAdd, source)));
  }
  return absl::OkStatus();
}

absl::Status MakeWhatBeginsHereLocal(const OwnAddresses& own) {
  ASSIGN_OR_RETURN(RouteSocket socket, RouteSocket::Open());
  RETURN_IF_ERROR(Explain("turning on IPv6", EnableIpv6(&socket)));
  RETURN_IF_ERROR(ReflectMarks());
  RETURN_IF_ERROR(Explain("setting lo up", LinkUp(&socket, kLoopbackIndex)));
  for (const unsigned char family : {AF_INET, AF_INET6}) {
    const std::vector<std::string>& addresses = family == AF_INET ? own.v4 : own.v6;
    const Address source =
        Parse(family, addresses.empty() ? (family == AF_INET ? kSourceV4 : kSourceV6)
                                        : addresses[0].c_str());
    if (addresses.empty()) {
      RETURN_IF_ERROR(
          Explain("adding an address to lo", ChangeAddress(&socket, Change::kAdd, source)));
    }
    RETURN_IF_ERROR(Explain("adding the default route",
                            ChangeDefault(&socket, Change::kAdd, source, kCaptureTable)));
    RETURN_IF_ERROR(Explain("adding a routing rule",
                            AddRule(&socket, family, kReplyPriority, kReplyMark, RT_TABLE_MAIN)));
    RETURN_IF_ERROR(Explain("adding a routing rule",
                            AddRule(&socket, family, kReplyPriority + 1, 0, kCaptureTable)));
  }
  return absl::OkStatus();
}

void UndoMakeEveryAddressLocal() {
  absl::StatusOr<RouteSocket> socket = RouteSocket::Open();
  if (!socket.ok()) return;
  for (const Address& source : {Parse(AF_INET, kSourceV4), Parse(AF_INET6, kSourceV6)}) {
    ChangeDefault(&*socket, Change::kDelete, source).IgnoreError();
    ChangeAddress(&*socket, Change::kDelete, source).IgnoreError();
  }
}

}  // namespace sallyport::agent
