// What a container is told: semantics section 5 as functions from a query to an answer, without
// I/O.

#ifndef SALLYPORT_AGENT_PROXY_DNS_ANSWER_H_
#define SALLYPORT_AGENT_PROXY_DNS_ANSWER_H_

#include <string>
#include <string_view>
#include <variant>

#include "absl/status/statusor.h"
#include "agent/proxy/dns/message.h"
#include "agent/proxy/dns/names.h"
#include "agent/proxy/dns/upstream_answer.h"
#include "common/policy/decide.h"

namespace sallyport::proxy {

inline constexpr uint32_t kPlaceholderTtl = 60;  // Seconds.
// For how many seconds clients may keep that there is no record of a type for a permitted name. A
// refused name's NXDOMAIN they may not keep at all: the policy may change at any moment.
inline constexpr uint32_t kEmptyTtl = 60;

struct DnsReply {
  std::string message;
  // Empty: not refused. Else why: an audit reason of common/policy (denied_host, not_allowed,
  // no_internet, forbidden_address, no_policy), bad_name, not_supported,
  // overloaded or dns_tunnel.
  std::string_view refused;
  // In monitor mode: why an enforcing class would have refused it. Else empty.
  std::string_view would_deny = {};
};
// The operator's resolvers have to be asked; see DnsReplyFromUpstream.
struct AskUpstream {
  std::string_view would_deny = {};  // As in DnsReply.
};

// The answer as far as it needs nobody. `policy`: null: none yet.
std::variant<DnsReply, AskUpstream> DnsReplyWithoutUpstream(const DnsQuery& query,
                                                            const EffectivePolicy* policy,
                                                            DnsNames& names);

// The answer after the resolvers were asked. The policy is consulted anew: it may have changed
// meanwhile. Addresses that are given out are remembered in `names`.
DnsReply DnsReplyFromUpstream(const DnsQuery& query, const EffectivePolicy* policy,
                              const OpenRanges& open_ranges, DnsNames& names,
                              const absl::StatusOr<UpstreamAnswer>& upstream);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_DNS_ANSWER_H_
