// The smallest list of host patterns that covers what was seen.

#ifndef SALLYPORT_CLI_SUGGEST_ALLOW_LIST_H_
#define SALLYPORT_CLI_SUGGEST_ALLOW_LIST_H_

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace sallyport::cli {

struct AllowEntry {
  // "api.example.com", "203.0.113.7", "*.example.com".
  std::string pattern;
  // Of a `*.…`: the hosts that it stands for, sorted. Empty for a host itself.
  std::vector<std::string> covers;
};

// Sorted: names by their labels from the last on, so that neighbours stand together, then
// addresses. Without `at_least` the hosts themselves. With it, a parent that at least so many of
// them have in common, and that strangers cannot register under (public_suffix.h), becomes
// `*.PARENT`. `hosts`: canonical, as in audit records.
std::vector<AllowEntry> SmallestAllowList(const std::set<std::string>& hosts,
                                          std::optional<size_t> at_least);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_SUGGEST_ALLOW_LIST_H_
