#include "agent/attach/flows.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <set>

#include "common/base/status.h"

namespace sallyport::agent {
namespace {

using Bytes = std::string;

// What names a flow in a request.
struct Flow {
  uint8_t family;
  Bytes original, id, zone;  // Attributes, head and padding included; empty: there is none.
};

absl::Status FlowError() {
  return absl::ErrnoToStatus(errno, "the table of flows (nf_conntrack_netlink) cannot be changed");
}

// One attribute of each type, at the place of its type.
using Attributes = std::array<const nlattr*, 32>;

int Take(const nlattr* attribute, void* data) {
  Attributes& attributes = *static_cast<Attributes*>(data);
  const uint16_t type = mnl_attr_get_type(attribute);
  if (type < attributes.size()) attributes[type] = attribute;
  return MNL_CB_OK;
}

Attributes Within(const nlattr* attribute) {
  Attributes attributes{};
  if (attribute != nullptr) mnl_attr_parse_nested(attribute, Take, &attributes);
  return attributes;
}

// Where answers of the flow come from.
Bytes Answerer(const nlattr* reply) {
  const Attributes ip = Within(Within(reply)[CTA_TUPLE_IP]);
  const nlattr* const source = ip[CTA_IP_V4_SRC] != nullptr ? ip[CTA_IP_V4_SRC] : ip[CTA_IP_V6_SRC];
  if (source == nullptr) return "";
  return Bytes(static_cast<const char*>(mnl_attr_get_payload(source)),
               mnl_attr_get_payload_len(source));
}

Bytes Whole(const nlattr* attribute) {
  if (attribute == nullptr) return "";
  return Bytes(reinterpret_cast<const char*>(attribute), MNL_ALIGN(attribute->nla_len));
}

struct Search {
  std::set<Bytes> wanted;
  std::vector<Flow> found;
};

int TakeFlow(const nlmsghdr* message, void* data) {
  Search& search = *static_cast<Search*>(data);
  Attributes attributes{};
  mnl_attr_parse(message, sizeof(nfgenmsg), Take, &attributes);
  if (search.wanted.contains(Answerer(attributes[CTA_TUPLE_REPLY]))) {
    const auto* const head = static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(message));
    search.found.push_back({head->nfgen_family, Whole(attributes[CTA_TUPLE_ORIG]),
                            Whole(attributes[CTA_ID]), Whole(attributes[CTA_ZONE])});
  }
  return MNL_CB_OK;
}

nlmsghdr* Begin(char* buffer, int type, uint16_t flags, uint8_t family, unsigned sequence) {
  nlmsghdr* const message = mnl_nlmsg_put_header(buffer);
  message->nlmsg_type = static_cast<uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | type);
  message->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
  message->nlmsg_seq = sequence;
  auto* const head = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
  head->nfgen_family = family;
  head->version = NFNETLINK_V0;
  return message;
}

absl::Status Exchange(mnl_socket* socket, const nlmsghdr* message, mnl_cb_t take, void* data) {
  const unsigned sequence = message->nlmsg_seq;
  if (mnl_socket_sendto(socket, message, message->nlmsg_len) < 0) return FlowError();
  alignas(nlmsghdr) std::array<char, 16 * 1024> buffer;
  for (;;) {
    const ssize_t count = mnl_socket_recvfrom(socket, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FlowError();
    const int more = mnl_cb_run(buffer.data(), static_cast<size_t>(count), sequence,
                                mnl_socket_get_portid(socket), take, data);
    if (more < 0) return FlowError();
    if (more == MNL_CB_STOP) return absl::OkStatus();
  }
}

absl::Status Delete(mnl_socket* socket, const Flow& flow, unsigned sequence) {
  alignas(nlmsghdr) std::array<char, 1024> buffer;
  nlmsghdr* const message =
      Begin(buffer.data(), IPCTNL_MSG_CT_DELETE, NLM_F_ACK, flow.family, sequence);
  for (const Bytes* part : {&flow.original, &flow.id, &flow.zone}) {
    if (message->nlmsg_len + part->size() > buffer.size())
      return absl::InternalError("a flow's name is too long");
    std::memcpy(reinterpret_cast<char*>(message) + message->nlmsg_len, part->data(), part->size());
    message->nlmsg_len += static_cast<uint32_t>(part->size());
  }
  const absl::Status deleted = Exchange(socket, message, nullptr, nullptr);
  // It ended by itself.
  return absl::IsNotFound(deleted) ? absl::OkStatus() : deleted;
}

}  // namespace

absl::StatusOr<FlowTable> FlowTable::Open() {
  Socket socket(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC));
  if (socket == nullptr || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0)
    return FlowError();
  return FlowTable(std::move(socket));
}

absl::Status FlowTable::ForgetFlowsTo(const std::vector<std::string>& addresses) {
  Search search;
  for (const std::string& address : addresses) {
    std::array<char, 16> bytes{};
    const bool v6 = address.find(':') != std::string::npos;
    if (inet_pton(v6 ? AF_INET6 : AF_INET, address.c_str(), bytes.data()) != 1) continue;
    search.wanted.emplace(bytes.data(), v6 ? 16 : 4);
  }
  alignas(nlmsghdr) std::array<char, 64> buffer;
  RETURN_IF_ERROR(Exchange(
      socket_.get(), Begin(buffer.data(), IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC, ++sequence_),
      TakeFlow, &search));
  for (const Flow& flow : search.found) RETURN_IF_ERROR(Delete(socket_.get(), flow, ++sequence_));
  return absl::OkStatus();
}

}  // namespace sallyport::agent
