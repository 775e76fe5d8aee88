#include "agent/proxy/dns/answer.h"

#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "agent/proxy/dns/resolver.h"

namespace sallyport::proxy {
namespace {

bool AsksForAddress(const DnsQuery& query) {
  return query.type == DnsType::kA || query.type == DnsType::kAaaa;
}

DnsReply Empty(const DnsQuery& query) {
  return {BuildNegativeDnsReply(query, DnsRcode::kNoError, kEmptyTtl), ""};
}

DnsReply Nxdomain(const DnsQuery& query, std::string_view refused) {
  return {BuildDnsReply(query, DnsRcode::kNxDomain), refused};
}

DnsReply Addresses(const DnsQuery& query, const std::vector<IpAddress>& addresses, uint32_t ttl) {
  std::vector<DnsRecord> records;
  for (const IpAddress& address : addresses) records.push_back(DnsRecord::Address(address, ttl));
  return {BuildDnsReply(query, DnsRcode::kNoError, records), ""};
}

// The name's reason comes before that of its addresses.
DnsReply Monitored(DnsReply reply, std::string_view would_deny) {
  if (!would_deny.empty()) reply.would_deny = would_deny;
  return reply;
}

// A name for which a handler may answer exists, whatever the world's DNS says.
DnsReply Placeholder(const DnsQuery& query, DnsNames& names) {
  if (query.type != DnsType::kA) return Empty(query);
  return Addresses(query, {names.Placeholder(*query.host)}, kPlaceholderTtl);
}

DnsReply Loopback(const DnsQuery& query) {
  if (query.type == DnsType::kA) {
    return Addresses(query, {IpAddress::FromV4(0x7f000001)}, kPlaceholderTtl);
  }
  if (query.type == DnsType::kAaaa) {
    std::array<uint8_t, 16> v6 = {};
    v6[15] = 1;
    return Addresses(query, {IpAddress::FromV6Bytes(v6)}, kPlaceholderTtl);
  }
  return Empty(query);
}

// ANY (RFC 8482 section 4) and what is not a type of data: AXFR, IXFR, TKEY, TSIG and others, RFC
// 6895 section 3.1.
bool IsUnsupported(DnsType type) {
  const auto value = static_cast<uint16_t>(type);
  return value == 0 || type == DnsType::kOpt || (value >= 128 && value <= 255);
}

// What software looks up. Other types (NULL, private use, …) serve nobody but tunnels.
bool IsPassedOn(DnsType type) {
  switch (type) {
    case DnsType::kA:
    case DnsType::kNs:
    case DnsType::kCname:
    case DnsType::kSoa:
    case DnsType::kPtr:
    case DnsType::kMx:
    case DnsType::kTxt:
    case DnsType::kAaaa:
    case DnsType::kSrv:
    case DnsType::kNaptr:
    case DnsType::kDname:
    case DnsType::kDs:
    case DnsType::kSshfp:
    case DnsType::kDnskey:
    case DnsType::kTlsa:
    case DnsType::kUri:
    case DnsType::kCaa:
      return true;
    // They could send the client to other addresses, to HTTP/3, or hide the name (ECH).
    case DnsType::kHttps:
    case DnsType::kSvcb:
    default:
      return false;
  }
}

std::string_view NameOf(std::optional<Reason> reason) {
  return reason.has_value() ? ReasonName(*reason) : std::string_view();
}

DnsReply AddressesFromUpstream(const DnsQuery& query, const EffectivePolicy& policy,
                               const OpenRanges& open_ranges, DnsNames& names,
                               const UpstreamAnswer& answer) {
  const DnsAddresses found = answer.Addresses();
  std::vector<IpAddress> permitted;
  std::optional<Reason> would_deny;
  size_t would_stay = 0;
  for (const IpAddress& address : found.addresses) {
    if (IsPlaceholderAddress(address)) continue;
    const AddressVerdict verdict = CheckDialledAddress(policy, address, open_ranges);
    const MayDial* may_dial = std::get_if<MayDial>(&verdict);
    if (may_dial == nullptr) continue;
    permitted.push_back(address);
    if (may_dial->would_deny.has_value()) would_deny = may_dial->would_deny;
    if (!may_dial->would_deny.has_value()) ++would_stay;
  }
  if (permitted.empty()) return Nxdomain(query, ReasonName(Reason::kForbiddenAddress));
  for (const IpAddress& address : permitted) names.Remember(address, *query.host);
  DnsReply reply = Addresses(query, permitted, found.ttl);
  // Some addresses fewer is no refusal.
  if (would_stay == 0) reply.would_deny = NameOf(would_deny);
  return reply;
}

// As the resolvers said, and for as long.
DnsReply Negative(const DnsQuery& query, const UpstreamAnswer& answer) {
  const uint32_t ttl = answer.lifetime();
  if (ttl == 0) return {BuildDnsReply(query, answer.rcode()), ""};
  return {BuildNegativeDnsReply(query, answer.rcode(), ttl), ""};
}

bool IsNxdomain(const DnsReply& reply) {
  return (ReadU16(reply.message, 2) & 0x000f) == static_cast<uint16_t>(DnsRcode::kNxDomain);
}

DnsReply FromUpstream(const DnsQuery& query, const EffectivePolicy& policy,
                      const OpenRanges& open_ranges, DnsNames& names,
                      const absl::StatusOr<UpstreamAnswer>& upstream) {
  DnsReply failure{BuildDnsReply(query, DnsRcode::kServFail), ""};
  if (absl::IsResourceExhausted(upstream.status())) {
    return {std::move(failure.message), "overloaded"};
  }
  if (absl::IsPermissionDenied(upstream.status())) {
    return {BuildDnsReply(query, DnsRcode::kRefused), "dns_tunnel"};
  }
  if (!upstream.ok()) return failure;
  if (upstream->rcode() != DnsRcode::kNoError && upstream->rcode() != DnsRcode::kNxDomain) {
    return failure;
  }
  if (upstream->rcode() == DnsRcode::kNxDomain || !upstream->has_records()) {
    return Negative(query, *upstream);
  }
  if (AsksForAddress(query)) {
    if (upstream->Addresses().addresses.empty()) return Negative(query, *upstream);
    return AddressesFromUpstream(query, policy, open_ranges, names, *upstream);
  }
  absl::StatusOr<std::string> passed_on = upstream->PassOn(query);
  if (!passed_on.ok()) return failure;
  return {*std::move(passed_on), ""};
}

}  // namespace

std::variant<DnsReply, AskUpstream> DnsReplyWithoutUpstream(const DnsQuery& query,
                                                            const EffectivePolicy* policy,
                                                            DnsNames& names) {
  if (policy == nullptr) {
    return DnsReply{BuildDnsReply(query, DnsRcode::kRefused), ReasonName(Reason::kNoPolicy)};
  }
  if (IsUnsupported(query.type)) {
    return DnsReply{BuildDnsReply(query, DnsRcode::kNotImp), "not_supported"};
  }
  if (!query.host.has_value()) return Nxdomain(query, "bad_name");
  const DnsVerdict verdict = DecideDns(*policy, *query.host);
  const std::string_view would_deny = NameOf(verdict.would_deny);
  if (verdict.action == DnsVerdict::Action::kNxdomain) {
    return Nxdomain(query, NameOf(verdict.refused));
  }
  // Permitted, but only ever the container's own: an address from elsewhere would break its local
  // servers.
  if (IsLocalhostName(*query.host)) return Monitored(Loopback(query), would_deny);
  if (verdict.action == DnsVerdict::Action::kPlaceholder) return Placeholder(query, names);
  if (!IsPassedOn(query.type)) return Monitored(Empty(query), would_deny);
  return AskUpstream{would_deny};
}

DnsReply DnsReplyFromUpstream(const DnsQuery& query, const EffectivePolicy* policy,
                              const OpenRanges& open_ranges, DnsNames& names,
                              const absl::StatusOr<UpstreamAnswer>& upstream) {
  std::variant<DnsReply, AskUpstream> changed = DnsReplyWithoutUpstream(query, policy, names);
  if (DnsReply* reply = std::get_if<DnsReply>(&changed)) return std::move(*reply);
  DnsReply reply = FromUpstream(query, *policy, open_ranges, names, upstream);
  const bool handler_may_serve =
      DecideDns(*policy, *query.host).action == DnsVerdict::Action::kResolveOrPlaceholder;
  if (handler_may_serve && IsNxdomain(reply)) reply = Placeholder(query, names);
  return Monitored(std::move(reply), std::get<AskUpstream>(changed).would_deny);
}

}  // namespace sallyport::proxy
