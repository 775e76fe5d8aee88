#include "agent/attach/ruleset.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "agent/attach/loopback.h"
#include "agent/attach/nft.h"
#include "agent/attach/nft_batch.h"
#include "common/base/mutex.h"
#include "common/base/status.h"

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
// In routed mode what comes in from elsewhere is marked, and so are the answers to it: that is what
// the routes tell them by from what the container begins (loopback.h). An answer over UDP is on its
// way to `lo` until its chain has marked it. ARP is answered to those whom the routes lead to.
//
// `add table` before `delete table`: deleting one that is not there would be an error.
constexpr char kRuleset[] = R"(
add table inet sallyport
delete table inet sallyport
table inet sallyport {
  chain prerouting {
    type filter hook prerouting priority mangle; policy drop;
    INBOUND
    ip daddr 127.0.0.1 tcp dport 15001 reject with tcp reset
    ip6 daddr ::1 tcp dport 15001 reject with tcp reset
    ip daddr 127.0.0.0/8 accept
    ip6 daddr ::1 accept
    ip daddr 192.0.2.2 accept
    ip6 daddr fd5a::2 accept
    OWN
    meta l4proto tcp tproxy ip to 127.0.0.1:15001 accept
    meta l4proto tcp tproxy ip6 to [::1]:15001 accept
    meta l4proto udp reject
  }
  chain output {
    type filter hook output priority raw; policy drop;
    REPLIES
    oifname "lo" meta l4proto tcp notrack accept
    oifname "lo" accept
  }
  chain dns {
    type nat hook output priority -100; policy drop;
    udp dport 53 redirect to :15053
    accept
  }
  ROUTED
}
)";

constexpr char kRoutedChain[] = R"(
  chain replies {
    type route hook output priority mangle;
    ct direction reply meta mark set MARK
  }
)";
constexpr char kArpTable[] = R"(
add table arp sallyport
delete table arp sallyport
table arp sallyport {
  chain input {
    type filter hook input priority 0;
    meta mark set MARK
  }
}
)";

constexpr char kRemoval[] = R"(
add table inet sallyport
delete table inet sallyport
)";

}  // namespace

absl::Status InstallRuleset() {
  static Mutex mutex;
  static std::optional<NftBatch> rules ABSL_GUARDED_BY(mutex);
  const NftBatch* compiled = nullptr;
  {
    MutexLock lock(&mutex);
    if (!rules.has_value()) {
      ASSIGN_OR_RETURN(
          rules, NftBatch::Compile(absl::StrReplaceAll(
                     kRuleset, {{"INBOUND", ""}, {"OWN", ""}, {"REPLIES", ""}, {"ROUTED", ""}})));
    }
    // It does not change any more.
    compiled = &*rules;
  }
  return compiled->Run();
}

absl::Status InstallRoutedRuleset(const OwnAddresses& own) {
  std::string accept;
  for (const std::string& address : own.v4)
    absl::StrAppend(&accept, "ip daddr ", address, " accept\n");
  for (const std::string& address : own.v6)
    absl::StrAppend(&accept, "ip6 daddr ", address, " accept\n");
  return RunNft(absl::StrReplaceAll(
      absl::StrCat(kRuleset, kArpTable),
      {{"MARK", absl::StrCat(kReplyMark)},
       {"INBOUND", absl::StrCat("iifname != \"lo\" meta mark set ", kReplyMark, " accept")},
       {"OWN", accept},
       {"REPLIES",
        absl::StrCat("meta mark ", kReplyMark,
                     " accept\nicmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept")},
       {"ROUTED", absl::StrReplaceAll(kRoutedChain, {{"MARK", absl::StrCat(kReplyMark)}})}}));
}

void RemoveRuleset() { RunNft(kRemoval).IgnoreError(); }

}  // namespace sallyport::agent
