#include "cli/suggest/allow_list.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "cli/suggest/public_suffix.h"
#include "common/base/strings.h"
#include "common/net/address.h"

namespace sallyport::cli {
namespace {

bool IsAddress(const std::string& host) { return IpAddress::Parse(host).ok(); }

// "c.b.a" of "a.b.c".
std::string LabelsReversed(std::string_view name) {
  std::string reversed;
  while (true) {
    const size_t dot = name.rfind('.');
    if (!reversed.empty()) reversed += '.';
    reversed += name.substr(dot == std::string_view::npos ? 0 : dot + 1);
    if (dot == std::string_view::npos) return reversed;
    name = name.substr(0, dot);
  }
}

// What follows the first dot; empty: nothing.
std::string_view ParentOf(std::string_view name) {
  const size_t dot = name.find('.');
  return dot == std::string_view::npos ? std::string_view() : name.substr(dot + 1);
}

// Parents of at least so many of the names.
std::set<std::string, std::less<>> CommonParents(const std::vector<std::string>& names,
                                                 size_t at_least) {
  std::map<std::string_view, size_t> children;
  for (const std::string& name : names) ++children[ParentOf(name)];
  std::set<std::string, std::less<>> parents;
  for (const auto& [parent, count] : children) {
    if (count >= at_least && !parent.empty() && !MayBePublicSuffix(parent))
      parents.insert(std::string(parent));
  }
  return parents;
}

// The parent nearest the root of which the name is below: the one whose `*.` covers the most.
std::optional<std::string> CoveredBy(const std::set<std::string, std::less<>>& parents,
                                     std::string_view name) {
  std::optional<std::string> covered;
  for (std::string_view above = ParentOf(name); !above.empty(); above = ParentOf(above)) {
    if (parents.contains(above)) covered = std::string(above);
  }
  return covered;
}

}  // namespace

std::vector<AllowEntry> SmallestAllowList(const std::set<std::string>& hosts,
                                          std::optional<size_t> at_least) {
  std::vector<std::string> names;
  std::vector<AllowEntry> addresses;
  for (const std::string& host : hosts) {
    if (IsAddress(host)) {
      addresses.push_back({host, {}});
    } else {
      names.push_back(host);
    }
  }
  std::set<std::string, std::less<>> parents;
  if (at_least.has_value()) parents = CommonParents(names, *at_least);

  // By the labels reversed, which is the order of the list.
  std::map<std::string, AllowEntry> entries;
  for (const std::string& name : names) {
    const std::optional<std::string> parent = CoveredBy(parents, name);
    if (parent.has_value()) {
      AllowEntry& entry = entries[LabelsReversed(*parent) + ".*"];
      entry.pattern = StrCat("*.", *parent);
      entry.covers.push_back(name);
    } else {
      entries[LabelsReversed(name)].pattern = name;
    }
  }
  std::vector<AllowEntry> list;
  for (auto& [key, entry] : entries) list.push_back(std::move(entry));
  list.insert(list.end(), addresses.begin(), addresses.end());
  return list;
}

}  // namespace sallyport::cli
