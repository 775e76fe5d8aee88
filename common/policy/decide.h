// The decision, pure: no I/O, no clock, no log. semantics.md sections 3 to 5 as functions from
// values to values.
//
// In monitor mode (`EffectivePolicy::monitor`) a denial by the lists or by `enable_internet` is
// waived: the verdict is what would hold without it, and carries `would_deny`. Where several are
// waived it is the first: the reason for which an enforcing class would deny.

#ifndef SALLYPORT_COMMON_POLICY_DECIDE_H_
#define SALLYPORT_COMMON_POLICY_DECIDE_H_

#include <optional>
#include <string>
#include <variant>

#include "common/net/address.h"
#include "common/net/host.h"
#include "common/policy/effective_policy.h"
#include "common/policy/forbidden_address.h"
#include "common/policy/steps.h"

namespace sallyport {

enum class RequestScheme { kHttp, kHttps };

// Every verdict points into the policy that it was made by.
struct Deny {
  Reason reason;
  Rule rule;
};
// The same, for those who keep it longer than the policy.
struct Denial {
  Reason reason;
  std::string rule = {};
};
inline Denial ToDenial(const Deny& deny) { return {deny.reason, deny.rule.ToString()}; }
struct ToHandler {
  const HandlerReference* reference;
  Rule rule;
  std::optional<Reason> would_deny = {};
};
struct Egress {
  Rule rule;
  std::optional<Reason> would_deny = {};
};
using Verdict = std::variant<Deny, ToHandler, Egress>;

// One HTTP request, plain or decrypted: all steps.
Verdict DecideRequest(const EffectivePolicy& policy, RequestScheme scheme, const Host& host,
                      const IpAddress& dialled);

// Whether the port is read as HTTP or TLS, rather than relayed as raw bytes.
bool IsHttpPort(const EffectivePolicy& policy, uint16_t port);

// One TLS connection to a sniffed port, by the name in its ClientHello (or the address dialled,
// without one).
struct Decrypt {};
struct Relay {
  Rule rule;
  std::optional<Reason> would_deny = {};
};
using TlsVerdict = std::variant<Decrypt, Relay, Deny>;
TlsVerdict DecideTls(const EffectivePolicy& policy, const Host& name, const IpAddress& dialled);

// By the steps that handlers have no part in: what holds for bytes that are not read, and for a
// request whose handler failed and was registered to fail open.
using TcpVerdict = std::variant<Relay, Deny>;
TcpVerdict DecideWithoutHandlers(const EffectivePolicy& policy, const Host& host,
                                 const IpAddress& dialled);

// One connection to a port that is not sniffed. `dns_name` is the name for which our DNS gave out
// `dialled`.
TcpVerdict DecideTcp(const EffectivePolicy& policy, const IpAddress& dialled, const Host* dns_name);

// One DNS question for an ordinary name.
struct DnsVerdict {
  enum class Action {
    kNxdomain,
    // Answer with a placeholder, ask nobody.
    kPlaceholder,
    // Ask the operator's resolvers.
    kResolve,
    // The same; NXDOMAIN becomes a placeholder, because a handler may serve the name.
    kResolveOrPlaceholder,
  };
  Action action;
  std::optional<Reason> refused = {};  // Of kNxdomain.
  std::optional<Reason> would_deny = {};
};
DnsVerdict DecideDns(const EffectivePolicy& policy, const Host& name);

// An address that egress is about to connect to: `denied_hosts` by address, which monitor mode
// waives, and the platform deny set, which it does not. IPv4 embedded in 6to4, Teredo, NAT64 and
// ISATAP addresses counts too.
struct MayDial {
  std::optional<Reason> would_deny = {};
};
using AddressVerdict = std::variant<MayDial, Deny>;
AddressVerdict CheckDialledAddress(const EffectivePolicy& policy, const IpAddress& address,
                                   const OpenRanges& open_ranges);

// A host that a handler, which is trusted code, forwards a request to: only `denied_hosts` counts
// for it, and CheckDialledAddress for its addresses.
AddressVerdict CheckForwardHost(const EffectivePolicy& policy, const Host& host);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_DECIDE_H_
