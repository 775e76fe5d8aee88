#include "agent/proxy/forged_headers.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"

namespace sallyport::proxy {
namespace {

char Folded(char c) { return c == '_' ? '-' : absl::ascii_tolower(static_cast<unsigned char>(c)); }

bool BeginsWith(std::string_view name, std::string_view prefix) {
  return name.size() >= prefix.size() &&
         std::equal(prefix.begin(), prefix.end(), name.begin(),
                    [](char wanted, char given) { return wanted == Folded(given); });
}

}  // namespace

bool IsSameVariable(std::string_view name, std::string_view other) {
  return std::ranges::equal(name, other, {}, Folded, Folded);
}

bool IsSallyportHeader(std::string_view name) { return BeginsWith(name, "sallyport-"); }

bool SaysWhoAsks(std::string_view name) {
  static constexpr std::array<std::string_view, 3> kPrefixes = {"sallyport-", "x-forwarded-",
                                                                "cf-"};
  static constexpr std::array<std::string_view, 5> kNames = {
      "forwarded", "x-real-ip", "x-container-id", "x-hostname", "x-tls-sni"};
  const auto begins = [&](std::string_view prefix) { return BeginsWith(name, prefix); };
  return std::ranges::any_of(kPrefixes, begins) ||
         std::ranges::any_of(kNames, [&](std::string_view wanted) {
           return name.size() == wanted.size() && begins(wanted);
         });
}

}  // namespace sallyport::proxy
