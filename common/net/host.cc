#include "common/net/host.h"

#include "absl/strings/ascii.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport {
namespace {

// RFC 1035 section 2.3.4, in text form without the trailing dot.
constexpr size_t kMaxName = 253;
constexpr size_t kMaxLabel = 63;

bool IsLabelByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

absl::Status Invalid(std::string_view text, std::string_view why) {
  return absl::InvalidArgumentError(StrCat("illegal host ", Quote(text), ": ", why));
}

// Such a name is an IPv4 address to the parsers of inet_aton(3) and of browsers (WHATWG URL, "ends
// in a number").
bool EndsInNumber(std::string_view name) {
  const std::string_view label = name.substr(name.rfind('.') + 1);
  return label.starts_with("0x") || label.find_first_not_of("0123456789") == std::string_view::npos;
}

absl::Status CheckName(std::string_view name, std::string_view given) {
  if (name.size() > kMaxName) return Invalid(given, "longer than 253 bytes");
  size_t label_start = 0;
  for (size_t i = 0; i <= name.size(); ++i) {
    if (i < name.size() && name[i] != '.') {
      if (!IsLabelByte(name[i])) return Invalid(given, "a byte that no host name has");
      continue;
    }
    if (i == label_start) return Invalid(given, "empty label");
    if (i - label_start > kMaxLabel) return Invalid(given, "a label of more than 63 bytes");
    label_start = i + 1;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Host> Host::Parse(std::string_view text) {
  if (text.starts_with('[')) {
    const std::string_view inside = text.substr(1, text.size() < 2 ? 0 : text.size() - 2);
    if (!text.ends_with(']') || inside.find(':') == std::string_view::npos) {
      return Invalid(text, "brackets are for IPv6 addresses");
    }
    const absl::StatusOr<IpAddress> address = IpAddress::Parse(inside);
    if (!address.ok()) return Invalid(text, "not an IPv6 address");
    return FromAddress(*address);
  }
  std::string_view name_text = text;
  if (name_text.ends_with('.')) name_text.remove_suffix(1);
  std::string name = absl::AsciiStrToLower(ToAbsl(name_text));
  RETURN_IF_ERROR(CheckName(name, text));
  if (EndsInNumber(name)) {
    const absl::StatusOr<IpAddress> address = IpAddress::Parse(name);
    if (!address.ok()) {
      return Invalid(text, "a number that is not an IPv4 address in dotted decimal");
    }
    return FromAddress(*address);
  }
  Host host;
  host.text_ = std::move(name);
  return host;
}

Host Host::FromAddress(const IpAddress& address) {
  Host host;
  host.text_ = address.ToString();
  host.address_ = address;
  return host;
}

std::string Host::ToUriString() const { return is_address() ? address_->ToUriString() : text_; }

absl::StatusOr<Authority> Authority::Parse(std::string_view text) {
  const size_t bracket = text.rfind(']');
  const size_t colon = text.find(':', bracket == std::string_view::npos ? 0 : bracket);
  Authority authority;
  ASSIGN_OR_RETURN(authority.host, Host::Parse(text.substr(0, colon)));
  if (colon == std::string_view::npos) return authority;
  const std::string_view digits = text.substr(colon + 1);
  if (digits.empty()) return authority;
  uint32_t port = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9' || digits.size() > 5) return Invalid(text, "illegal port");
    port = port * 10 + (c - '0');
  }
  if (digits[0] == '0' || port > 65535) return Invalid(text, "illegal port");
  authority.port = static_cast<uint16_t>(port);
  return authority;
}

std::string Authority::ToString(uint16_t default_port) const {
  if (!port.has_value() || *port == default_port) return host.ToUriString();
  return StrCat(host.ToUriString(), ":", *port);
}

}  // namespace sallyport
