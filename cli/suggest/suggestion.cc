#include "cli/suggest/suggestion.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_join.h"
#include "cli/policy/write.h"
#include "cli/yaml/print.h"
#include "common/base/strings.h"

namespace sallyport::cli {
namespace {

constexpr size_t kMaxNamed = 8;

std::string Coverage(const std::vector<std::string>& covers) {
  const auto end = covers.begin() + static_cast<ptrdiff_t>(std::min(covers.size(), kMaxNamed));
  return StrCat(covers.size(), " seen: ", absl::StrJoin(covers.begin(), end, ", "),
                covers.size() > kMaxNamed ? ", …" : "");
}

}  // namespace

v1::ContainerClass WithAllowList(v1::ContainerClass value, const std::vector<AllowEntry>& list) {
  value.mutable_allowed_hosts()->clear_hosts();
  for (const AllowEntry& entry : list) value.mutable_allowed_hosts()->add_hosts(entry.pattern);
  return value;
}

std::string SuggestionYaml(const v1::ContainerClass& value, const std::vector<AllowEntry>& list) {
  const v1::ContainerClass suggested = WithAllowList(value, list);
  yaml::Node root = PolicyToYaml(std::vector<v1::Handler>(), std::vector{suggested},
                                 std::vector<v1::ContainerPolicy>());
  for (yaml::Node& field : root.children[0].children[0].children) {
    if (field.key == "monitor" && suggested.monitor())
      field.comment = "nothing is refused until this is false";
    if (field.key != "allowed_hosts") continue;
    for (size_t i = 0; i < list.size(); ++i) {
      if (!list[i].covers.empty()) field.children[i].comment = Coverage(list[i].covers);
    }
  }
  return yaml::Print(root);
}

}  // namespace sallyport::cli
