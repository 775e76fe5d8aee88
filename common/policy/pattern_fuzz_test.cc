// Input: a pattern, a newline, a host. No crash; an accepted pattern is canonical; matching agrees
// with its own rules.

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/base/check.h"
#include "common/policy/pattern.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using sallyport::Host;
  using sallyport::Pattern;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t newline = input.find('\n');
  const auto pattern = Pattern::Parse(input.substr(0, newline));
  if (!pattern.ok()) {
    SALLYPORT_CHECK(!pattern.status().message().empty());
    return 0;
  }
  const auto again = Pattern::Parse(pattern->text());
  SALLYPORT_CHECK(again.ok() && again->text() == pattern->text());
  SALLYPORT_CHECK(again->kind() == pattern->kind());

  if (newline == std::string_view::npos) return 0;
  const auto host = Host::Parse(input.substr(newline + 1));
  if (!host.ok()) return 0;
  const bool matches = pattern->Matches(*host);
  if (pattern->kind() == Pattern::Kind::kExactName || pattern->kind() == Pattern::Kind::kAddress) {
    SALLYPORT_CHECK(matches == (pattern->text() == host->text()));
  }
  if (pattern->kind() == Pattern::Kind::kNetwork) {
    SALLYPORT_CHECK(matches == (host->is_address() && pattern->MatchesAddress(host->address())));
  }
  return 0;
}
