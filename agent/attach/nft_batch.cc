#include "agent/attach/nft_batch.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <span>
#include <thread>

#include "agent/attach/nft.h"
#include "common/base/status.h"

namespace sallyport::agent {
namespace {

using Socket = std::unique_ptr<mnl_socket, int (*)(mnl_socket*)>;

absl::Status NetlinkError() { return absl::ErrnoToStatus(errno, "nfnetlink"); }

absl::StatusOr<Socket> OpenSocket() {
  Socket socket(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC), mnl_socket_close);
  if (socket == nullptr || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0)
    return NetlinkError();
  return socket;
}

// What makes the same again of what the kernel says of a thing.
constexpr std::array<uint16_t, 2> kOfTable = {NFTA_TABLE_NAME, NFTA_TABLE_FLAGS};
constexpr std::array<uint16_t, 5> kOfChain = {NFTA_CHAIN_TABLE, NFTA_CHAIN_NAME, NFTA_CHAIN_HOOK,
                                              NFTA_CHAIN_POLICY, NFTA_CHAIN_TYPE};
constexpr std::array<uint16_t, 3> kOfRule = {NFTA_RULE_TABLE, NFTA_RULE_CHAIN,
                                             NFTA_RULE_EXPRESSIONS};

// Appends messages, numbered from 1.
class Writer {
 public:
  enum class Tables { kMake, kReplace };
  explicit Writer(Tables tables = Tables::kMake) : tables_(tables) {}

  Tables tables() const { return tables_; }
  void Add(int type, uint16_t flags, uint8_t family, uint16_t resource = 0) {
    at_ = bytes_.size();
    bytes_.resize(at_ + MNL_NLMSG_HDRLEN + sizeof(nfgenmsg));
    nlmsghdr head = {};
    head.nlmsg_type = static_cast<uint16_t>(type);
    head.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    head.nlmsg_seq = ++sequence_;
    nfgenmsg general = {.nfgen_family = family, .version = NFNETLINK_V0, .res_id = htons(resource)};
    std::memcpy(bytes_.data() + at_, &head, sizeof(head));
    std::memcpy(bytes_.data() + at_ + MNL_NLMSG_HDRLEN, &general, sizeof(general));
    SetLength();
  }
  // To the last message, those of `types` that `from` has.
  void Copy(const nlmsghdr* from, std::span<const uint16_t> types) {
    const auto* const payload = static_cast<const char*>(mnl_nlmsg_get_payload(from));
    const auto* const end = static_cast<const char*>(mnl_nlmsg_get_payload_tail(from));
    const auto* attribute = reinterpret_cast<const nlattr*>(payload + MNL_ALIGN(sizeof(nfgenmsg)));
    for (; mnl_attr_ok(attribute, static_cast<int>(end - reinterpret_cast<const char*>(attribute)));
         attribute = mnl_attr_next(attribute)) {
      if (std::ranges::find(types, mnl_attr_get_type(attribute)) == types.end()) continue;
      bytes_.append(reinterpret_cast<const char*>(attribute), MNL_ALIGN(attribute->nla_len));
    }
    SetLength();
  }
  std::string Take() { return std::move(bytes_); }

 private:
  void SetLength() {
    const auto length = static_cast<uint32_t>(bytes_.size() - at_);
    std::memcpy(bytes_.data() + at_, &length, sizeof(length));
  }

  const Tables tables_;
  std::string bytes_;
  size_t at_ = 0;
  uint32_t sequence_ = 0;
};

int TypeOf(int message) { return NFNL_SUBSYS_NFTABLES << 8 | message; }

uint8_t FamilyOf(const nlmsghdr* message) {
  return static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(message))->nfgen_family;
}

int AskForTable(const nlmsghdr* message, void* data) {
  Writer& writer = *static_cast<Writer*>(data);
  writer.Add(TypeOf(NFT_MSG_GETTABLE), 0, FamilyOf(message));
  writer.Copy(message, std::span(kOfTable).first(1));
  return MNL_CB_OK;
}

int AddTable(const nlmsghdr* message, void* data) {
  Writer& writer = *static_cast<Writer*>(data);
  if (writer.tables() == Writer::Tables::kReplace) {
    // Deleting one that is not there would be an error.
    writer.Add(TypeOf(NFT_MSG_NEWTABLE), NLM_F_CREATE, FamilyOf(message));
    writer.Copy(message, kOfTable);
    writer.Add(TypeOf(NFT_MSG_DELTABLE), 0, FamilyOf(message));
    writer.Copy(message, std::span(kOfTable).first(1));
  }
  writer.Add(TypeOf(NFT_MSG_NEWTABLE), NLM_F_CREATE | NLM_F_EXCL, FamilyOf(message));
  writer.Copy(message, kOfTable);
  return MNL_CB_OK;
}

int AddChain(const nlmsghdr* message, void* data) {
  Writer& writer = *static_cast<Writer*>(data);
  writer.Add(TypeOf(NFT_MSG_NEWCHAIN), NLM_F_CREATE, FamilyOf(message));
  writer.Copy(message, kOfChain);
  return MNL_CB_OK;
}

// The kernel answers to each, so that there is an answer if all went well.
int AddRule(const nlmsghdr* message, void* data) {
  Writer& writer = *static_cast<Writer*>(data);
  writer.Add(TypeOf(NFT_MSG_NEWRULE), NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK, FamilyOf(message));
  writer.Copy(message, kOfRule);
  return MNL_CB_OK;
}

absl::Status Dump(const Socket& socket, int type, mnl_cb_t add, Writer* writer) {
  Writer request;
  request.Add(TypeOf(type), NLM_F_DUMP, AF_UNSPEC);
  const std::string bytes = request.Take();
  if (mnl_socket_sendto(socket.get(), bytes.data(), bytes.size()) < 0) return NetlinkError();
  alignas(nlmsghdr) std::array<char, 32 * 1024> buffer;
  for (;;) {
    const ssize_t count = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return NetlinkError();
    const int more = mnl_cb_run(buffer.data(), static_cast<size_t>(count), 1,
                                mnl_socket_get_portid(socket.get()), add, writer);
    if (more < 0) return NetlinkError();
    if (more == MNL_CB_STOP) return absl::OkStatus();
  }
}

absl::StatusOr<std::string> ReadBack(const Socket& socket, Writer::Tables tables) {
  Writer writer(tables);
  writer.Add(NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
  RETURN_IF_ERROR(Dump(socket, NFT_MSG_GETTABLE, AddTable, &writer));
  RETURN_IF_ERROR(Dump(socket, NFT_MSG_GETCHAIN, AddChain, &writer));
  RETURN_IF_ERROR(Dump(socket, NFT_MSG_GETRULE, AddRule, &writer));
  writer.Add(NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
  return writer.Take();
}

struct Batches {
  std::string question;
  std::string making;
  std::string replacing;
};

absl::StatusOr<Batches> CompileHere(const std::string& commands) {
  if (unshare(CLONE_NEWNET) != 0)
    return absl::ErrnoToStatus(errno, "no network namespace can be made");
  RETURN_IF_ERROR(RunNft(commands));
  ASSIGN_OR_RETURN(const Socket socket, OpenSocket());
  Batches batches;
  Writer question;
  RETURN_IF_ERROR(Dump(socket, NFT_MSG_GETTABLE, AskForTable, &question));
  batches.question = question.Take();
  ASSIGN_OR_RETURN(batches.making, ReadBack(socket, Writer::Tables::kMake));
  ASSIGN_OR_RETURN(batches.replacing, ReadBack(socket, Writer::Tables::kReplace));
  return batches;
}

using Take = std::function<void(const nlmsghdr*)>;

// The kernel has answered when it has taken the messages.
absl::Status Exchange(const Socket& socket, const std::string& messages, const Take& take) {
  if (mnl_socket_sendto(socket.get(), messages.data(), messages.size()) < 0) return NetlinkError();
  for (;;) {
    alignas(nlmsghdr) std::array<char, 16 * 1024> buffer;
    const ssize_t count =
        recv(mnl_socket_get_fd(socket.get()), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return absl::OkStatus();
    if (count < 0) return NetlinkError();
    int left = static_cast<int>(count);
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data());
         mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
      take(message);
    }
  }
}

// A refusal may stand among answers that are none.
absl::Status Send(const Socket& socket, const std::string& batch) {
  bool taken = false;
  absl::Status refusal;
  RETURN_IF_ERROR(Exchange(socket, batch, [&](const nlmsghdr* answer) {
    if (answer->nlmsg_type != NLMSG_ERROR) return;
    taken = true;
    const int error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(answer))->error;
    if (error != 0 && refusal.ok())
      refusal = absl::ErrnoToStatus(-error, "the kernel refused the nftables rules");
  }));
  RETURN_IF_ERROR(refusal);
  return taken ? absl::OkStatus()
               : absl::InternalError("the kernel did not answer to the nftables rules");
}

absl::StatusOr<bool> HasSome(const Socket& socket, const std::string& question) {
  bool some = false;
  RETURN_IF_ERROR(Exchange(socket, question, [&some](const nlmsghdr* answer) {
    if (answer->nlmsg_type == TypeOf(NFT_MSG_NEWTABLE)) some = true;
  }));
  return some;
}

}  // namespace

absl::StatusOr<NftBatch> NftBatch::Compile(const std::string& commands) {
  absl::StatusOr<Batches> batches;
  std::thread apart([&] { batches = CompileHere(commands); });
  apart.join();
  if (!batches.ok()) return batches.status();
  return NftBatch(std::move(batches->question), std::move(batches->making),
                  std::move(batches->replacing));
}

absl::Status NftBatch::Run() const {
  ASSIGN_OR_RETURN(const Socket socket, OpenSocket());
  ASSIGN_OR_RETURN(const bool there, HasSome(socket, question_));
  if (there) return Send(socket, replacing_);
  const absl::Status made = Send(socket, making_);
  // Somebody was quicker.
  return absl::IsAlreadyExists(made) ? Send(socket, replacing_) : made;
}

}  // namespace sallyport::agent
