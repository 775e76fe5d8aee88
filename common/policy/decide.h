// The decision, pure: no I/O, no clock, no log. semantics.md sections 3 to 5 as functions from
// values to values.

#ifndef SALLYPORT_COMMON_POLICY_DECIDE_H_
#define SALLYPORT_COMMON_POLICY_DECIDE_H_

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "common/net/address.h"
#include "common/net/host.h"
#include "common/policy/effective_policy.h"
#include "common/policy/forbidden_address.h"

namespace sallyport {

enum class Reason { kDeniedHost, kNotAllowed, kNoInternet, kForbiddenAddress, kNoPolicy };
// "denied_host", "not_allowed", "no_internet", "forbidden_address", "no_policy".
std::string_view ReasonName(Reason reason);

enum class RequestScheme { kHttp, kHttps };

// `rule` says in words what decided, as "class allowed_hosts *.example.com"; for audit.
struct Deny {
  Reason reason;
  std::string rule;
};
struct ToHandler {
  const HandlerReference* reference;  // Lives as long as the policy.
  std::string rule;
};
struct Egress {
  std::string rule;
};
using Verdict = std::variant<Deny, ToHandler, Egress>;

// One HTTP request, plain or decrypted: the nine steps.
Verdict DecideRequest(const EffectivePolicy& policy, RequestScheme scheme, const Host& host,
                      const IpAddress& dialled);

// Whether the port is read as HTTP or TLS, rather than relayed as raw bytes.
bool IsHttpPort(const EffectivePolicy& policy, uint16_t port);

// One TLS connection to a sniffed port, by the name in its ClientHello (or the address dialled,
// without one).
struct Decrypt {};
struct Relay {
  std::string rule;
};
using TlsVerdict = std::variant<Decrypt, Relay, Deny>;
TlsVerdict DecideTls(const EffectivePolicy& policy, const Host& name, const IpAddress& dialled);

// One connection to a port that is not sniffed. `dns_name` is the name for which our DNS gave out
// `dialled`.
using TcpVerdict = std::variant<Relay, Deny>;
TcpVerdict DecideTcp(const EffectivePolicy& policy, const IpAddress& dialled, const Host* dns_name);

// One DNS question for an ordinary name.
enum class DnsVerdict {
  kNxdomain,
  // Answer with a placeholder, ask nobody.
  kPlaceholder,
  // Ask the operator's resolvers.
  kResolve,
  // The same; NXDOMAIN becomes a placeholder, because a handler may serve the name.
  kResolveOrPlaceholder,
};
DnsVerdict DecideDns(const EffectivePolicy& policy, const Host& name);

// Whether an address that egress is about to connect to may be dialled: `denied_hosts` by address
// and the platform deny set. nullopt: yes. IPv4 embedded in 6to4, Teredo, NAT64 and ISATAP
// addresses counts too.
std::optional<Deny> CheckDialledAddress(const EffectivePolicy& policy, const IpAddress& address,
                                        const OpenRanges& open_ranges);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_DECIDE_H_
