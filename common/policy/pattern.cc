#include "common/policy/pattern.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/ascii.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/policy/idna.h"

namespace sallyport {
namespace {

// Longest pattern; a host has 253 bytes at most.
constexpr size_t kMaxPattern = 255;
// Longest text that is looked at: Unicode takes more bytes than its punycode.
constexpr size_t kMaxText = 4 * kMaxPattern;

absl::Status Invalid(std::string_view text, std::string_view problem) {
  return absl::InvalidArgumentError(StrCat(Quote(text), " ", problem));
}

// The host in a URL or in HOST:PORT/PATH, for messages.
std::string HostIn(std::string_view text) {
  if (const size_t scheme = text.find("://"); scheme != std::string_view::npos) {
    text.remove_prefix(scheme + 3);
  }
  text = text.substr(0, text.find_first_of("/?#"));
  if (const size_t user = text.rfind('@'); user != std::string_view::npos) {
    text.remove_prefix(user + 1);
  }
  if (const size_t bracket = text.find(']'); bracket != std::string_view::npos) {
    text = text.substr(0, bracket + 1);
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    text = text.substr(0, text.find(':'));
  }
  return std::string(text);
}

// ": write "api.example.com"", or nothing if there is no host to show.
std::string WriteInstead(std::string_view host) {
  return host.empty() ? std::string("; write a host alone, as in api.example.com")
                      : StrCat("; write ", Quote(host));
}

// Whether the writer meant an address or a network, right or wrong.
bool LooksLikeAddress(std::string_view text) {
  const std::string_view before_slash = text.substr(0, text.find('/'));
  if (before_slash.starts_with('[')) return true;
  if (std::count(before_slash.begin(), before_slash.end(), ':') >= 2) return true;
  return !before_slash.empty() &&
         before_slash.find_first_not_of("0123456789.") == std::string_view::npos &&
         before_slash.find_first_of("0123456789") != std::string_view::npos;
}

absl::StatusOr<Cidr> ParseAddressOrNetwork(std::string_view text) {
  if (text.find('%') != std::string_view::npos) {
    return Invalid(text, "has a zone; leave out `%` and what follows");
  }
  if (text.starts_with('[')) {
    const size_t bracket = text.find(']');
    if (bracket == std::string_view::npos) return Invalid(text, "has no closing bracket");
    const std::string_view inside = text.substr(1, bracket - 1);
    if (inside.find(':') == std::string_view::npos) {
      return Invalid(text,
                     StrCat("has brackets, which are for IPv6 addresses", WriteInstead(inside)));
    }
    const std::string_view rest = text.substr(bracket + 1);
    if (rest.starts_with(':')) {
      return Invalid(text,
                     StrCat("has a port; patterns hold for every port", WriteInstead(inside)));
    }
    if (!rest.empty() && !rest.starts_with('/')) {
      return Invalid(text, StrCat("has text after the bracket", WriteInstead(inside)));
    }
  }
  return Cidr::Parse(text.ends_with('.') ? text.substr(0, text.size() - 1) : text);
}

// What is wrong with the shape of the text, before its characters are looked at.
absl::Status CheckShape(std::string_view text) {
  if (text.empty()) {
    return absl::InvalidArgumentError(
        "a host pattern is empty; write a host, as in api.example.com, or `*` for every host");
  }
  if (text.size() > kMaxText) return Invalid(text, "is longer than 255 bytes");
  if (std::any_of(text.begin(), text.end(),
                  [](unsigned char c) { return absl::ascii_isspace(c); })) {
    std::string without(text);
    std::erase_if(without, [](unsigned char c) { return absl::ascii_isspace(c); });
    return Invalid(text, StrCat("has white space", WriteInstead(without)));
  }
  if (text.find("://") != std::string_view::npos) {
    return Invalid(
        text, StrCat("has a scheme; patterns are hosts without one", WriteInstead(HostIn(text))));
  }
  if (LooksLikeAddress(text)) return absl::OkStatus();
  if (text.find('/') != std::string_view::npos) {
    return Invalid(
        text, StrCat("has a path; patterns are hosts without one", WriteInstead(HostIn(text))));
  }
  if (text.find('@') != std::string_view::npos) {
    return Invalid(
        text, StrCat("has user info; patterns are hosts without it", WriteInstead(HostIn(text))));
  }
  if (text.find(':') != std::string_view::npos) {
    return Invalid(text,
                   StrCat("has a port; patterns hold for every port", WriteInstead(HostIn(text))));
  }
  return absl::OkStatus();
}

bool IsPatternByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
         c == '*';
}

// REQUIRES: lower case, ASCII.
absl::Status CheckName(std::string_view name, std::string_view given) {
  for (const char c : name) {
    if (IsPatternByte(c)) continue;
    if (c == '?') {
      return Invalid(given, "has `?`, which no host has; write `*` for any run of characters");
    }
    if (c == '%') {
      return Invalid(given, "has a percent sign, which no host has; write the character itself");
    }
    return Invalid(given, StrCat("has the character ", Quote(std::string_view(&c, 1)),
                                 ", which no host has; letters, digits, `-`, `_`, `.` and `*` may "
                                 "be written"));
  }
  if (name.empty()) return Invalid(given, "has no name in it; write a host, as in api.example.com");
  if (name.starts_with('.')) {
    return Invalid(given, StrCat("begins with an empty label; write ", Quote(StrCat("*", name)),
                                 " for every host below it"));
  }
  if (name.find("..") != std::string_view::npos || name.ends_with('.')) {
    return Invalid(given, "has an empty label; write one dot between two labels");
  }
  return absl::OkStatus();
}

// Runs of stars mean the same as one.
std::string WithStarsCollapsed(std::string_view name) {
  std::string collapsed;
  for (const char c : name) {
    if (c == '*' && collapsed.ends_with('*')) continue;
    collapsed.push_back(c);
  }
  return collapsed;
}

// Takes the leftmost place for each literal piece, which leaves the most for the pieces after it:
// no backtracking. The searches cover disjoint parts of `text`, so all of them cost text × pattern
// bytes at most.
bool GlobMatches(std::string_view glob, std::string_view text) {
  const size_t first_star = glob.find('*');
  // The standard library's rfind goes byte by byte; this is asked of each glob that is tried.
  const size_t last_star =
      static_cast<const char*>(memrchr(glob.data(), '*', glob.size())) - glob.data();
  const std::string_view prefix = glob.substr(0, first_star);
  const std::string_view suffix = glob.substr(last_star + 1);
  if (text.size() < prefix.size() + suffix.size()) return false;
  if (!text.starts_with(prefix) || !text.ends_with(suffix)) return false;
  text.remove_prefix(prefix.size());
  text.remove_suffix(suffix.size());
  // Between the outer stars, a star after each piece.
  std::string_view pieces = glob.substr(first_star + 1, last_star - first_star);
  while (!pieces.empty()) {
    const std::string_view piece = pieces.substr(0, pieces.find('*'));
    pieces.remove_prefix(piece.size() + 1);
    const size_t at = text.find(piece);
    if (at == std::string_view::npos) return false;
    text.remove_prefix(at + piece.size());
  }
  return true;
}

}  // namespace

absl::StatusOr<Pattern> Pattern::Parse(std::string_view text) {
  RETURN_IF_ERROR(CheckShape(text));
  if (LooksLikeAddress(text)) {
    ASSIGN_OR_RETURN(const Cidr cidr, ParseAddressOrNetwork(text));
    return OfNetwork(cidr);
  }
  absl::StatusOr<std::string> ascii = ToAsciiLabels(text);
  if (!ascii.ok()) return Invalid(text, ToStd(ascii.status().message()));
  std::string name = absl::AsciiStrToLower(*ascii);
  if (name.size() > 1 && name.ends_with('.')) name.pop_back();
  RETURN_IF_ERROR(CheckName(name, text));
  name = WithStarsCollapsed(name);
  if (name.size() > kMaxPattern) return Invalid(text, "is longer than 255 bytes");

  Pattern pattern;
  if (name.find('*') != std::string::npos) {
    pattern.kind_ = Kind::kGlob;
    pattern.text_ = std::move(name);
    return pattern;
  }
  // What is left differs from a request host in nothing: lengths and numeric forms are its
  // parser's.
  ASSIGN_OR_RETURN(const Host host, Host::Parse(name));
  if (host.is_address()) return OfNetwork(Cidr::Of(host.address()));
  pattern.text_ = host.text();
  return pattern;
}

Pattern Pattern::OfNetwork(const Cidr& cidr) {
  Pattern pattern;
  pattern.kind_ = cidr.is_single_address() ? Kind::kAddress : Kind::kNetwork;
  pattern.text_ = cidr.is_single_address() ? cidr.address().ToString() : cidr.ToString();
  pattern.cidr_ = cidr;
  return pattern;
}

bool Pattern::Matches(const Host& host) const {
  switch (kind_) {
    case Kind::kExactName:
      return host.text() == text_;
    case Kind::kGlob:
      return GlobMatches(text_, host.text());
    case Kind::kAddress:
    case Kind::kNetwork:
      return host.is_address() && cidr_.Contains(host.address());
  }
  return false;
}

bool Pattern::MatchesAddress(const IpAddress& address) const {
  return (kind_ == Kind::kAddress || kind_ == Kind::kNetwork) && cidr_.Contains(address);
}

}  // namespace sallyport
