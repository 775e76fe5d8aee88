#include "common/net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport {
namespace {

constexpr std::array<uint8_t, 12> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

// A number without leading zeros, at most `max`.
std::optional<int> ParseDecimal(std::string_view text, int max) {
  if (text.empty() || text.size() > 3 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  int value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  if (value > max) return std::nullopt;
  return value;
}

std::optional<std::array<uint8_t, 4>> ParseV4(std::string_view text) {
  std::array<uint8_t, 4> bytes;
  for (int part = 0; part < 4; ++part) {
    const size_t dot = text.find('.');
    if ((dot == std::string_view::npos) != (part == 3)) return std::nullopt;
    const std::optional<int> value = ParseDecimal(text.substr(0, dot), 255);
    if (!value.has_value()) return std::nullopt;
    bytes[part] = static_cast<uint8_t>(*value);
    if (part < 3) text.remove_prefix(dot + 1);
  }
  return bytes;
}

std::optional<std::array<uint8_t, 16>> ParseV6(std::string_view text) {
  char terminated[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof(terminated) || text.find('\0') != std::string_view::npos) {
    return std::nullopt;
  }
  std::memcpy(terminated, text.data(), text.size());
  terminated[text.size()] = '\0';
  std::array<uint8_t, 16> bytes;
  if (inet_pton(AF_INET6, terminated, bytes.data()) != 1) return std::nullopt;
  return bytes;
}

// Bits after the first `prefix_length` set to zero.
std::array<uint8_t, 16> Masked(const IpAddress& address, int prefix_length) {
  std::array<uint8_t, 16> bytes = address.bytes();
  for (int i = 0; i < address.byte_length(); ++i) {
    const int kept = std::clamp(prefix_length - i * 8, 0, 8);
    bytes[i] &= static_cast<uint8_t>(0xff00 >> kept);
  }
  return bytes;
}

}  // namespace

absl::StatusOr<IpAddress> IpAddress::Parse(std::string_view text) {
  if (text.find(':') != std::string_view::npos) {
    if (const auto bytes = ParseV6(text)) return FromV6Bytes(*bytes);
  } else if (const auto bytes = ParseV4(text)) {
    return FromV4Bytes(*bytes);
  }
  return absl::InvalidArgumentError(
      StrCat(Quote(text),
             " is not an IP address; write IPv4 as four decimal numbers without "
             "leading zeros, IPv6 without brackets and zone"));
}

IpAddress IpAddress::FromV4(uint32_t host_order) {
  return FromV4Bytes({static_cast<uint8_t>(host_order >> 24),
                      static_cast<uint8_t>(host_order >> 16), static_cast<uint8_t>(host_order >> 8),
                      static_cast<uint8_t>(host_order)});
}

IpAddress IpAddress::FromV4Bytes(const std::array<uint8_t, 4>& bytes) {
  IpAddress address;
  std::copy(bytes.begin(), bytes.end(), address.bytes_.begin());
  return address;
}

IpAddress IpAddress::FromV6Bytes(const std::array<uint8_t, 16>& bytes) {
  if (std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), bytes.begin())) {
    return FromV4Bytes({bytes[12], bytes[13], bytes[14], bytes[15]});
  }
  IpAddress address;
  address.is_v4_ = false;
  address.bytes_ = bytes;
  return address;
}

IpAddress IpAddress::FromSockaddr(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, address, sizeof(v4));
    return FromV4(ntohl(v4.sin_addr.s_addr));
  }
  SALLYPORT_CHECK(address->sa_family == AF_INET6);
  sockaddr_in6 v6;
  std::memcpy(&v6, address, sizeof(v6));
  std::array<uint8_t, 16> bytes;
  std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
  return FromV6Bytes(bytes);
}

uint32_t IpAddress::v4() const {
  return uint32_t{bytes_[0]} << 24 | uint32_t{bytes_[1]} << 16 | uint32_t{bytes_[2]} << 8 |
         bytes_[3];
}

std::string IpAddress::ToString() const {
  // Each audit record has some; inet_ntop formats by sprintf.
  if (is_v4_) return StrCat(bytes_[0], ".", bytes_[1], ".", bytes_[2], ".", bytes_[3]);
  char text[INET6_ADDRSTRLEN];
  inet_ntop(AF_INET6, bytes_.data(), text, sizeof(text));
  return text;
}

std::string IpAddress::ToUriString() const {
  return is_v4_ ? ToString() : StrCat("[", ToString(), "]");
}

socklen_t IpAddress::ToSockaddr(uint16_t port, sockaddr_storage* storage) const {
  *storage = {};
  if (is_v4_) {
    sockaddr_in v4 = {};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, bytes_.data(), 4);
    std::memcpy(storage, &v4, sizeof(v4));
    return sizeof(v4);
  }
  sockaddr_in6 v6 = {};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  std::memcpy(&v6.sin6_addr, bytes_.data(), 16);
  std::memcpy(storage, &v6, sizeof(v6));
  return sizeof(v6);
}

absl::StatusOr<Cidr> Cidr::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  std::string_view address_text = text.substr(0, slash);
  const bool is_v6_text = address_text.find(':') != std::string_view::npos;
  if (is_v6_text && address_text.starts_with('[') && address_text.ends_with(']')) {
    address_text = address_text.substr(1, address_text.size() - 2);
  }
  ASSIGN_OR_RETURN(const IpAddress address, IpAddress::Parse(address_text));
  if (slash == std::string_view::npos) return Of(address);

  const std::string_view prefix_text = text.substr(slash + 1);
  const int max = is_v6_text ? 128 : 32;
  const std::optional<int> prefix = ParseDecimal(prefix_text, max);
  if (!prefix.has_value()) {
    return absl::InvalidArgumentError(
        StrCat("the prefix length of ", Quote(text), " must be a number from 0 to ", max,
               " without leading zeros, as in ", is_v6_text ? "2001:db8::/32" : "203.0.113.0/24"));
  }
  Cidr cidr;
  // Networks inside ::ffff:0:0/96 are IPv4 networks. A shorter prefix cuts the mapped prefix
  // itself, which is not zero: host bits, whatever the IPv4 part is.
  const bool is_mapped = is_v6_text && address.is_v4();
  if (is_mapped && *prefix < 96) {
    return absl::InvalidArgumentError(
        StrCat("host bits are set in ", Quote(text), "; write IPv4 networks in dotted decimal"));
  }
  cidr.prefix_length_ = is_mapped ? *prefix - 96 : *prefix;
  const std::array<uint8_t, 16> masked = Masked(address, cidr.prefix_length_);
  if (address.is_v4()) {
    cidr.address_ = IpAddress::FromV4Bytes({masked[0], masked[1], masked[2], masked[3]});
  } else {
    cidr.address_ = IpAddress::FromV6Bytes(masked);
  }
  if (cidr.address_ != address) {
    return absl::InvalidArgumentError(StrCat("host bits are set in ", Quote(text), "; write ",
                                             cidr.ToString(), " for the network or ",
                                             address.ToString(), " for the one address"));
  }
  return cidr;
}

Cidr Cidr::Of(const IpAddress& address) {
  Cidr cidr;
  cidr.address_ = address;
  cidr.prefix_length_ = address.byte_length() * 8;
  return cidr;
}

bool Cidr::Contains(const IpAddress& address) const {
  if (address.is_v4() != address_.is_v4()) return false;
  const auto whole = static_cast<size_t>(prefix_length_ / 8);
  if (std::memcmp(address.bytes().data(), address_.bytes().data(), whole) != 0) return false;
  const int rest = prefix_length_ % 8;
  return rest == 0 || (address.bytes()[whole] ^ address_.bytes()[whole]) >> (8 - rest) == 0;
}

std::string Cidr::ToString() const { return StrCat(address_.ToString(), "/", prefix_length_); }

}  // namespace sallyport
