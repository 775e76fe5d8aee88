#include "common/builtin/location.h"

#include <algorithm>
#include <optional>

#include "common/base/strings.h"

namespace sallyport {
namespace {

constexpr size_t kMaxLocationBytes = 2048;
constexpr size_t kNone = std::string_view::npos;

std::optional<std::string_view> PartOf(const BuiltinRequest& request, std::string_view name) {
  const size_t query = std::min(request.target.find('?'), request.target.size());
  if (name == "scheme") return request.scheme;
  if (name == "host") return request.host;
  if (name == "authority") return request.authority;
  if (name == "path") return request.target.substr(0, query);
  if (name == "query") return request.target.substr(query);
  return std::nullopt;
}

absl::Status Wrong(std::string_view what) { return absl::InvalidArgumentError(ToAbsl(what)); }

}  // namespace

absl::Status CheckLocation(std::string_view location) {
  if (location.size() > kMaxLocationBytes) return Wrong("is longer than 2 KiB; shorten it");
  const bool absolute = location.starts_with("https://") || location.starts_with("http://") ||
                        location.starts_with("{scheme}://");
  const bool is_path =
      location.starts_with("{path}") || (location.starts_with('/') && !location.starts_with("//"));
  if (!absolute && !is_path) {
    return Wrong("is no URL; write one, as https://{host}{path}{query}, or a path");
  }
  if (std::any_of(location.begin(), location.end(), [](char c) { return c <= ' ' || c >= 0x7f; })) {
    return Wrong("has white space, control or non-ASCII bytes; percent-encode them");
  }
  while (!location.empty()) {
    const size_t open = location.find_first_of("{}");
    if (open == kNone) break;
    const size_t close = location.find('}', open);
    if (location[open] == '}' || close == kNone) {
      return Wrong("has a brace without its other; percent-encode one that is meant (%7B, %7D)");
    }
    const std::string_view name = location.substr(open + 1, close - open - 1);
    if (!PartOf(BuiltinRequest{}, name).has_value()) {
      return Wrong(StrCat("has {", name.substr(0, 32),
                          "}; there are {scheme}, {host}, {authority}, {path} and {query}"));
    }
    location.remove_prefix(close + 1);
  }
  return absl::OkStatus();
}

std::string FillLocation(std::string_view location, const BuiltinRequest& request) {
  std::string filled;
  while (!location.empty()) {
    const size_t open = std::min(location.find('{'), location.size());
    filled.append(location.substr(0, open));
    location.remove_prefix(open);
    if (location.empty()) break;
    const size_t close = location.find('}');
    filled.append(PartOf(request, location.substr(1, close - 1)).value_or(""));
    location.remove_prefix(close == kNone ? location.size() : close + 1);
  }
  return filled;
}

}  // namespace sallyport
