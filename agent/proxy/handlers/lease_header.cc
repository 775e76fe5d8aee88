#include "agent/proxy/handlers/lease_header.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <set>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::proxy {
namespace {

// RFC 9651 section 3.3.1 and 3.3.2.
constexpr size_t kMaxIntegerDigits = 15;
constexpr size_t kMaxWholeDigits = 12;
constexpr size_t kMaxFractionDigits = 3;
constexpr size_t kMaxQuotedKey = 32;

absl::Status Wrong(std::string_view what) {
  return absl::InvalidArgumentError(StrCat("the handler's header \"sallyport-lease\" ", what));
}

absl::Status Malformed() {
  return Wrong(
      "is no dictionary of RFC 9651; write it as `ttl=60, methods=(GET HEAD), path-prefix=\"/a\"`");
}

bool IsTokenCharacter(char c) {
  constexpr std::string_view kSymbols = "!#$%&'*+-.^_`|~:/";
  return absl::ascii_isalnum(c) || kSymbols.find(c) != kSymbols.npos;
}

// Takes items off the front of a field's value (RFC 9651 section 4.2).
class Reader {
 public:
  explicit Reader(std::string_view value) : rest_(value) {}

  bool empty() const { return rest_.empty(); }
  bool Take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // Within a list (section 4.2.1.2).
  bool AtEndOfItem() const { return rest_.starts_with(' ') || rest_.starts_with(')'); }
  void SkipSpaces() {
    TakeWhile([](char c) { return c == ' '; });
  }
  void SkipWhiteSpace() {
    TakeWhile([](char c) { return c == ' ' || c == '\t'; });
  }

  absl::StatusOr<std::string_view> Key() {
    if (rest_.empty() || !(absl::ascii_islower(rest_[0]) || rest_[0] == '*')) return Malformed();
    return TakeWhile([](char c) {
      return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_' || c == '-' || c == '.' ||
             c == '*';
    });
  }

  std::string_view Digits() {
    return TakeWhile([](char c) { return absl::ascii_isdigit(c); });
  }

  absl::StatusOr<std::string_view> Token() {
    if (rest_.empty() || !(absl::ascii_isalpha(rest_[0]) || rest_[0] == '*')) return Malformed();
    return TakeWhile(IsTokenCharacter);
  }

  absl::StatusOr<std::string> String() {
    if (!Take('"')) return Malformed();
    std::string text;
    while (!rest_.empty()) {
      const char c = rest_[0];
      rest_.remove_prefix(1);
      if (c == '"') return text;
      if (c == '\\') {
        if (!rest_.starts_with('"') && !rest_.starts_with('\\')) return Malformed();
        text.push_back(rest_[0]);
        rest_.remove_prefix(1);
      } else if (absl::ascii_isprint(c)) {
        text.push_back(c);
      } else {
        return Malformed();
      }
    }
    return Malformed();
  }

 private:
  template <typename Predicate>
  std::string_view TakeWhile(Predicate predicate) {
    size_t length = 0;
    while (length < rest_.size() && predicate(rest_[length])) ++length;
    const std::string_view taken = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return taken;
  }

  std::string_view rest_;
};

absl::Status ReadTtl(Reader& reader, v1::Lease* lease) {
  const std::string_view whole = reader.Digits();
  std::string_view fraction;
  const bool decimal = reader.Take('.');
  if (decimal) fraction = reader.Digits();
  if (whole.empty() || (decimal && fraction.empty()) || fraction.size() > kMaxFractionDigits ||
      whole.size() > (decimal ? kMaxWholeDigits : kMaxIntegerDigits)) {
    return Wrong("has a ttl that is no number of seconds such as 60 or 0.5");
  }
  int64_t seconds = 0;
  int32_t milliseconds = 0;
  std::string padded(fraction);
  padded.resize(kMaxFractionDigits, '0');
  if (!absl::SimpleAtoi(ToAbsl(whole), &seconds) || !absl::SimpleAtoi(padded, &milliseconds))
    return Malformed();
  lease->mutable_ttl()->set_seconds(seconds);
  lease->mutable_ttl()->set_nanos(milliseconds * 1'000'000);
  return absl::OkStatus();
}

absl::Status ReadMaxUses(Reader& reader, v1::Lease* lease) {
  uint32_t max_uses = 0;
  if (!absl::SimpleAtoi(ToAbsl(reader.Digits()), &max_uses))
    return Wrong("has a max-uses that is no number of 32 bits");
  lease->set_max_uses(max_uses);
  return absl::OkStatus();
}

absl::Status ReadMethods(Reader& reader, v1::Lease* lease) {
  if (!reader.Take('(')) return Wrong("has methods that are no list such as (GET HEAD)");
  while (true) {
    reader.SkipSpaces();
    if (reader.Take(')')) return absl::OkStatus();
    ASSIGN_OR_RETURN(const std::string_view method, reader.Token());
    lease->add_methods(std::string(method));
    if (!reader.AtEndOfItem()) return Malformed();
  }
}

absl::Status ReadPathPrefix(Reader& reader, v1::Lease* lease) {
  absl::StatusOr<std::string> path = reader.String();
  if (!path.ok()) return Wrong("has a path-prefix that is no string such as \"/repos\"");
  // Else it would be the same as none.
  if (path->empty()) return Wrong("has an empty path-prefix");
  lease->set_path_prefix(*std::move(path));
  return absl::OkStatus();
}

struct Member {
  std::string_view key;
  absl::Status (*read)(Reader&, v1::Lease*);
};
constexpr std::array<Member, 4> kMembers = {{{"ttl", ReadTtl},
                                             {"max-uses", ReadMaxUses},
                                             {"methods", ReadMethods},
                                             {"path-prefix", ReadPathPrefix}}};

absl::Status ReadMember(Reader& reader, std::set<std::string_view>* seen, v1::Lease* lease) {
  ASSIGN_OR_RETURN(const std::string_view key, reader.Key());
  const std::string quoted = Quote(key.substr(0, kMaxQuotedKey));
  const auto* const member =
      std::ranges::find_if(kMembers, [key](const Member& known) { return known.key == key; });
  if (member == kMembers.end()) {
    return Wrong(StrCat("has the unknown member ", quoted,
                        "; it has ttl, max-uses, methods and path-prefix"));
  }
  if (!seen->insert(member->key).second) return Wrong(StrCat("has ", quoted, " twice"));
  // One without a value is a boolean (section 3.2).
  if (!reader.Take('=')) return Wrong(StrCat("has ", quoted, " without a value"));
  return member->read(reader, lease);
}

}  // namespace

absl::StatusOr<v1::Lease> ParseLeaseHeader(std::string_view value) {
  v1::Lease lease;
  std::set<std::string_view> seen;
  Reader reader(value);
  reader.SkipSpaces();
  do {
    reader.SkipWhiteSpace();
    RETURN_IF_ERROR(ReadMember(reader, &seen, &lease));
    reader.SkipWhiteSpace();
  } while (reader.Take(','));
  reader.SkipSpaces();
  if (reader.Take(';')) return Wrong("has parameters, which mean nothing here");
  if (!reader.empty()) return Malformed();
  return lease;
}

}  // namespace sallyport::proxy
