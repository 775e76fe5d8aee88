#include "agent/attach/ruleset.h"

#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {
namespace {

// Ports: listeners.h. Addresses: loopback.h.
//
// prerouting is where packets come in again that the default route sent to `lo`. The container's
// own loopback traffic passes. TCP to anywhere else is handed to the listener with its destination
// kept; if there is no listener, `tproxy` falls through, and the policy drops. The listeners are
// not for calling: that would be a destination that is the agent itself.
//
// DNS is redirected on its way out, because a redirect remembers the server that was asked, so that
// the answer comes from there. TCP needs no connection tracking and is spared its cost and its
// table.
//
// `add table` before `delete table`: deleting one that is not there would be an error.
constexpr char kRuleset[] = R"(
add table inet sallyport
delete table inet sallyport
table inet sallyport {
  chain prerouting {
    type filter hook prerouting priority mangle; policy drop;
    ip daddr 127.0.0.1 tcp dport 15001 reject with tcp reset
    ip6 daddr ::1 tcp dport 15001 reject with tcp reset
    ip daddr 127.0.0.0/8 accept
    ip6 daddr ::1 accept
    ip daddr 192.0.2.2 accept
    ip6 daddr fd5a::2 accept
    meta l4proto tcp tproxy ip to 127.0.0.1:15001 accept
    meta l4proto tcp tproxy ip6 to [::1]:15001 accept
    meta l4proto udp reject
  }
  chain output {
    type filter hook output priority raw; policy drop;
    oifname "lo" meta l4proto tcp notrack accept
    oifname "lo" accept
  }
  chain dns {
    type nat hook output priority -100; policy drop;
    udp dport 53 redirect to :15053
    accept
  }
}
)";

constexpr char kRemoval[] = R"(
add table inet sallyport
delete table inet sallyport
)";

// libnftables ends the program when it gets no socket; better to fail before.
absl::Status CheckSocketIsToBeHad() {
  UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  if (socket.valid()) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, "no nfnetlink socket can be made");
}

// Runs `commands` as one transaction.
absl::Status Run(const char* commands) {
  // libnftables keeps tables of names that all its contexts share.
  static Mutex library;
  MutexLock lock(&library);
  RETURN_IF_ERROR(CheckSocketIsToBeHad());
  const std::unique_ptr<nft_ctx, void (*)(nft_ctx*)> context(nft_ctx_new(NFT_CTX_DEFAULT),
                                                             nft_ctx_free);
  if (context == nullptr || nft_ctx_buffer_error(context.get()) != 0 ||
      nft_ctx_buffer_output(context.get()) != 0) {
    return absl::InternalError("libnftables cannot be set up");
  }
  if (nft_run_cmd_from_buffer(context.get(), commands) == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(
      "the kernel refused the nftables rules (are nft_tproxy, nft_redir and nft_reject there?): ",
      absl::StripAsciiWhitespace(nft_ctx_get_error_buffer(context.get()))));
}

}  // namespace

absl::Status InstallRuleset() { return Run(kRuleset); }

void RemoveRuleset() { Run(kRemoval).IgnoreError(); }

}  // namespace sallyport::agent
