// The one parser of request hosts. Policy, pools, DNS, leaf certificates and logs all use its
// result.

#ifndef SALLYPORT_COMMON_NET_HOST_H_
#define SALLYPORT_COMMON_NET_HOST_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/net/address.h"

namespace sallyport {

// A request host in canonical form: a DNS name in lower case without trailing dot, or an address. A
// value.
class Host {
 public:
  // A name (labels of letters, digits, `-`, `_`; 63 bytes a label, 253 in all; one trailing dot is
  // removed), IPv4 in dotted decimal without leading zeros, or IPv6 in brackets. INVALID_ARGUMENT
  // for everything else: numeric forms of IPv4 ("127.1", "0x7f.1", "2130706433": a last label that
  // is a number or begins with 0x), zone ids, percent signs, user info, non-ASCII bytes, empty
  // labels.
  static absl::StatusOr<Host> Parse(std::string_view text);
  static Host FromAddress(const IpAddress& address);

  bool is_address() const { return address_.has_value(); }
  const IpAddress& address() const { return *address_; }  // REQUIRES: is_address().
  // "api.example.com", "203.0.113.7", "2001:db8::1" (no brackets).
  const std::string& text() const { return text_; }
  // As text(), IPv6 in brackets.
  std::string ToUriString() const;

  friend bool operator==(const Host& a, const Host& b) { return a.text_ == b.text_; }
  template <typename H>
  friend H AbslHashValue(H h, const Host& host) {
    return H::combine(std::move(h), host.text_);
  }

 private:
  std::string text_;
  std::optional<IpAddress> address_;
};

// Host and port as in a Host header or a request target (RFC 9110 section 7.2). A value.
struct Authority {
  Host host;
  // Absent: none, or an empty one, was given.
  std::optional<uint16_t> port;

  // "host", "host:", "host:port". Ports: 1 to 65535, digits only, no leading zero.
  static absl::StatusOr<Authority> Parse(std::string_view text);
  // "host" or "host:port"; the port is left out if absent or equal to `default_port`.
  std::string ToString(uint16_t default_port) const;
};

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_NET_HOST_H_
