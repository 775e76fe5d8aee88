// The platform deny set: addresses that egress never dials unless an operator or, for private
// ranges, a list opens them.

#ifndef SALLYPORT_COMMON_POLICY_FORBIDDEN_ADDRESS_H_
#define SALLYPORT_COMMON_POLICY_FORBIDDEN_ADDRESS_H_

#include <vector>

#include "common/net/address.h"

namespace sallyport {

// Networks of the platform deny set that the operator opened.
using OpenRanges = std::vector<Cidr>;

// Whether the address is in the platform deny set, whatever the policy.
bool IsForbiddenAddress(const IpAddress& address, const OpenRanges& open_ranges);

// RFC 1918, carrier-grade NAT (RFC 6598) and unique local (RFC 4193) addresses: an allow list may
// open these.
bool IsPrivateAddress(const IpAddress& address);

// The IPv4 addresses that a packet to this IPv6 address may end up at: NAT64 (RFC 6052), 6to4 (RFC
// 3056), Teredo (RFC 4380; server and client) and ISATAP (RFC 5214). At most three.
std::vector<IpAddress> EmbeddedV4(const IpAddress& address);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_FORBIDDEN_ADDRESS_H_
