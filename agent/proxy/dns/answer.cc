#include "agent/proxy/dns/answer.h"

#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "agent/proxy/dns/resolver.h"
#include "agent/proxy/dns/upstream_answer.h"

namespace sallyport::proxy {
namespace {

bool AsksForAddress(const DnsQuery& query) {
  return query.type == DnsType::kA || query.type == DnsType::kAaaa;
}

DnsReply Empty(const DnsQuery& query) { return {BuildDnsReply(query, DnsRcode::kNoError), ""}; }

DnsReply Nxdomain(const DnsQuery& query, std::string_view refused) {
  return {BuildDnsReply(query, DnsRcode::kNxDomain), refused};
}

DnsReply Addresses(const DnsQuery& query, const std::vector<IpAddress>& addresses, uint32_t ttl) {
  std::vector<DnsRecord> records;
  for (const IpAddress& address : addresses) records.push_back(DnsRecord::Address(address, ttl));
  // What does not fit is left out rather than announced (TC): a few addresses are as good as all.
  return {BuildDnsReply(query, DnsRcode::kNoError, records), ""};
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

// Which of the nine steps refused the name, for audit.
std::string_view WhyRefused(const EffectivePolicy& policy, const Host& host) {
  const Verdict verdict = DecideRequest(policy, RequestScheme::kHttps, host, IpAddress());
  const Deny* deny = std::get_if<Deny>(&verdict);
  return ReasonName(deny == nullptr ? Reason::kNotAllowed : deny->reason);
}

DnsReply AddressesFromUpstream(const DnsQuery& query, const EffectivePolicy& policy,
                               const OpenRanges& open_ranges, DnsNames& names,
                               const UpstreamAnswer& answer) {
  const DnsAddresses found = answer.Addresses();
  std::vector<IpAddress> permitted;
  for (const IpAddress& address : found.addresses) {
    if (IsPlaceholderAddress(address)) continue;
    if (CheckDialledAddress(policy, address, open_ranges).has_value()) continue;
    permitted.push_back(address);
  }
  if (permitted.empty() && !found.addresses.empty()) {
    return Nxdomain(query, ReasonName(Reason::kForbiddenAddress));
  }
  for (const IpAddress& address : permitted) names.Remember(address, *query.host);
  return Addresses(query, permitted, found.ttl);
}

bool IsNxdomain(const DnsReply& reply) {
  return (ReadU16(reply.message, 2) & 0x000f) == static_cast<uint16_t>(DnsRcode::kNxDomain);
}

DnsReply FromUpstream(const DnsQuery& query, const EffectivePolicy& policy,
                      const OpenRanges& open_ranges, DnsNames& names,
                      absl::StatusOr<std::string> upstream) {
  const DnsReply failure{BuildDnsReply(query, DnsRcode::kServFail), ""};
  if (!upstream.ok()) {
    // The resolver's word for a name that cannot exist.
    return absl::IsNotFound(upstream.status()) ? Nxdomain(query, "") : failure;
  }
  const absl::StatusOr<UpstreamAnswer> answer =
      UpstreamAnswer::Parse(*std::move(upstream), query.wire_name, query.type);
  if (!answer.ok()) return failure;
  if (answer->rcode() != DnsRcode::kNoError && answer->rcode() != DnsRcode::kNxDomain) {
    return failure;
  }
  if (AsksForAddress(query)) {
    if (answer->rcode() == DnsRcode::kNxDomain) return Nxdomain(query, "");
    return AddressesFromUpstream(query, policy, open_ranges, names, *answer);
  }
  absl::StatusOr<std::string> passed_on = answer->PassOn(query);
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
  if (verdict == DnsVerdict::kNxdomain) return Nxdomain(query, WhyRefused(*policy, *query.host));
  // Permitted, but only ever the container's own: an address from elsewhere would break its local
  // servers.
  if (IsLocalhostName(*query.host)) return Loopback(query);
  if (verdict == DnsVerdict::kPlaceholder) return Placeholder(query, names);
  // They could send the client to other addresses, to HTTP/3, or hide the name (ECH).
  if (query.type == DnsType::kHttps || query.type == DnsType::kSvcb) return Empty(query);
  return AskUpstream();
}

DnsReply DnsReplyFromUpstream(const DnsQuery& query, const EffectivePolicy* policy,
                              const OpenRanges& open_ranges, DnsNames& names,
                              absl::StatusOr<std::string> upstream) {
  std::variant<DnsReply, AskUpstream> changed = DnsReplyWithoutUpstream(query, policy, names);
  if (DnsReply* reply = std::get_if<DnsReply>(&changed)) return *std::move(reply);
  DnsReply reply = FromUpstream(query, *policy, open_ranges, names, std::move(upstream));
  const bool handler_may_serve =
      DecideDns(*policy, *query.host) == DnsVerdict::kResolveOrPlaceholder;
  if (handler_may_serve && IsNxdomain(reply)) return Placeholder(query, names);
  return reply;
}

}  // namespace sallyport::proxy
