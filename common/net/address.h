// IP addresses and networks as values.

#ifndef SALLYPORT_COMMON_NET_ADDRESS_H_
#define SALLYPORT_COMMON_NET_ADDRESS_H_

#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace sallyport {

// An IPv4 or IPv6 address. IPv4-mapped IPv6 (::ffff:0:0/96) is turned into IPv4 when made, so that
// the two compare equal. No zone ids. A value.
class IpAddress {
 public:
  // 0.0.0.0.
  IpAddress() = default;

  // Dotted decimal with four parts and no leading zeros, or IPv6 text (RFC 4291, no brackets, no
  // zone).
  static absl::StatusOr<IpAddress> Parse(std::string_view text);
  static IpAddress FromV4(uint32_t host_order);
  static IpAddress FromV4Bytes(const std::array<uint8_t, 4>& bytes);
  static IpAddress FromV6Bytes(const std::array<uint8_t, 16>& bytes);
  // REQUIRES: `address` is AF_INET or AF_INET6.
  static IpAddress FromSockaddr(const sockaddr* address);

  bool is_v4() const { return is_v4_; }
  // IPv4: the first 4 bytes count. Network order.
  const std::array<uint8_t, 16>& bytes() const { return bytes_; }
  int byte_length() const { return is_v4_ ? 4 : 16; }
  uint32_t v4() const;  // Host order. REQUIRES: is_v4().
  // "203.0.113.7", "2001:db8::1" (RFC 5952).
  std::string ToString() const;
  // As ToString, IPv6 in brackets.
  std::string ToUriString() const;
  // Fills `storage` and returns its length.
  socklen_t ToSockaddr(uint16_t port, sockaddr_storage* storage) const;

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const IpAddress& a) {
    return H::combine(std::move(h), a.is_v4_, a.bytes_);
  }

 private:
  bool is_v4_ = true;
  std::array<uint8_t, 16> bytes_ = {};
};

// A network: address and prefix length, host bits zero. A value.
class Cidr {
 public:
  Cidr() = default;
  // "203.0.113.0/24", "2001:db8::/32", "[2001:db8::]/32"; a single address stands for itself.
  // INVALID_ARGUMENT for host bits that are set (the message names the network that was probably
  // meant), a prefix out of range or with a leading zero.
  static absl::StatusOr<Cidr> Parse(std::string_view text);
  // The network of one address.
  static Cidr Of(const IpAddress& address);

  // IPv4 networks contain IPv4 addresses only, and IPv6 networks IPv6 ones.
  bool Contains(const IpAddress& address) const;
  bool is_single_address() const { return prefix_length_ == address_.byte_length() * 8; }
  const IpAddress& address() const { return address_; }
  int prefix_length() const { return prefix_length_; }
  std::string ToString() const;

  friend bool operator==(const Cidr&, const Cidr&) = default;

 private:
  IpAddress address_;
  int prefix_length_ = 32;
};

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_NET_ADDRESS_H_
