#include "common/policy/forbidden_address.h"

#include <algorithm>
#include <initializer_list>

#include "common/base/check.h"

namespace sallyport {
namespace {

OpenRanges Networks(std::initializer_list<const char*> texts) {
  OpenRanges networks;
  for (const char* text : texts) {
    const absl::StatusOr<Cidr> network = Cidr::Parse(text);
    SALLYPORT_CHECK(network.ok());
    networks.push_back(*network);
  }
  return networks;
}

bool AnyContains(const OpenRanges& networks, const IpAddress& address) {
  return std::any_of(networks.begin(), networks.end(),
                     [&](const Cidr& network) { return network.Contains(address); });
}

const OpenRanges& PrivateNetworks() {
  static const OpenRanges& networks = *new OpenRanges(Networks({
      "10.0.0.0/8",      // RFC 1918
      "172.16.0.0/12",   // RFC 1918
      "192.168.0.0/16",  // RFC 1918
      "100.64.0.0/10",   // RFC 6598, carrier-grade NAT
      "fc00::/7",        // RFC 4193, unique local
  }));
  return networks;
}

// Ranges for documentation are not here: nothing answers there, and tests live in them.
const OpenRanges& OtherForbiddenNetworks() {
  static const OpenRanges& networks = *new OpenRanges(Networks({
      "0.0.0.0/8",       // RFC 1122, "this network"; 0.0.0.0 reaches the host itself
      "127.0.0.0/8",     // loopback
      "169.254.0.0/16",  // RFC 3927, link-local; cloud metadata
      "192.0.0.0/24",    // RFC 6890, protocol assignments
      "198.18.0.0/15",   // RFC 2544, benchmarking; our DNS placeholders
      "224.0.0.0/4",     // multicast
      "240.0.0.0/4",     // reserved, and 255.255.255.255
      "::/96",           // unspecified, loopback, IPv4-compatible (RFC 4291 section 2.5.5.1)
      "64:ff9b:1::/48",  // RFC 8215, NAT64 of local use: what it maps to is not knowable here
      "fe80::/10",       // link-local
      "fec0::/10",       // RFC 3879, site-local
      "ff00::/8",        // multicast
  }));
  return networks;
}

bool HasPrefix(const IpAddress& address, std::initializer_list<uint8_t> prefix, int offset = 0) {
  return std::equal(prefix.begin(), prefix.end(), address.bytes().begin() + offset);
}

IpAddress V4At(const IpAddress& address, int offset, uint8_t mask = 0) {
  const auto& b = address.bytes();
  return IpAddress::FromV4Bytes(
      {static_cast<uint8_t>(b[offset] ^ mask), static_cast<uint8_t>(b[offset + 1] ^ mask),
       static_cast<uint8_t>(b[offset + 2] ^ mask), static_cast<uint8_t>(b[offset + 3] ^ mask)});
}

}  // namespace

bool IsPrivateAddress(const IpAddress& address) { return AnyContains(PrivateNetworks(), address); }

std::vector<IpAddress> EmbeddedV4(const IpAddress& address) {
  std::vector<IpAddress> embedded;
  if (address.is_v4()) return embedded;
  if (HasPrefix(address, {0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0})) {
    embedded.push_back(V4At(address, 12));
  }
  if (HasPrefix(address, {0x20, 0x02})) embedded.push_back(V4At(address, 2));
  if (HasPrefix(address, {0x20, 0x01, 0x00, 0x00})) {
    embedded.push_back(V4At(address, 4));
    embedded.push_back(V4At(address, 12, 0xff));  // The client's address is stored inverted.
  }
  // Interface identifier ::0:5efe:a.b.c.d, or ::200:5efe:a.b.c.d with the universal bit.
  if (HasPrefix(address, {0x00, 0x00, 0x5e, 0xfe}, 8) ||
      HasPrefix(address, {0x02, 0x00, 0x5e, 0xfe}, 8)) {
    embedded.push_back(V4At(address, 12));
  }
  return embedded;
}

bool IsForbiddenAddress(const IpAddress& address, const OpenRanges& open_ranges) {
  if (AnyContains(open_ranges, address)) return false;
  if (IsPrivateAddress(address) || AnyContains(OtherForbiddenNetworks(), address)) return true;
  for (const IpAddress& v4 : EmbeddedV4(address)) {
    if (IsForbiddenAddress(v4, open_ranges)) return true;
  }
  return false;
}

}  // namespace sallyport
