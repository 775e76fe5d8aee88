#include "common/policy/warnings.h"

#include "common/base/strings.h"
#include "common/policy/validate.h"

namespace sallyport {
namespace {

// For patterns that open something: too wide is worse than too narrow.
void WarnOfWidePattern(std::string_view field, std::string_view pattern,
                       std::vector<std::string>* warnings) {
  const auto warn = [&](std::string_view what) {
    warnings->push_back(StrCat(field, ": ", Quote(pattern), " ", what));
  };
  if (pattern.ends_with("/0")) {
    warn("is every address, private ones included");
  } else if (pattern != "*" && pattern.ends_with('*')) {
    warn(
        "crosses the public suffix: names under any domain match, registered by whomever; write "
        "the whole name");
  } else if (pattern.size() > 1 && pattern[0] == '*' && pattern[1] != '.' && pattern[1] != '*') {
    warn(StrCat("also matches names that merely end so; write ",
                Quote(StrCat("*.", pattern.substr(1))), " for the hosts below it"));
  }
}

}  // namespace

std::vector<std::string> ClassWarnings(const v1::ContainerClass& container_class) {
  std::vector<std::string> warnings;
  const auto& allowed = container_class.allowed_hosts().hosts();
  for (int i = 0; i < allowed.size(); ++i) {
    WarnOfWidePattern(Element("allowed_hosts", i), allowed[i], &warnings);
  }
  if (container_class.has_allowed_hosts() && allowed.empty()) {
    warnings.push_back("allowed_hosts: is an empty list, which allows nothing");
  }
  for (int i = 0; i < container_class.outbound_by_host_size(); ++i) {
    WarnOfWidePattern(StrCat(Element("outbound_by_host", i), ".host"),
                      container_class.outbound_by_host(i).host(), &warnings);
  }
  return warnings;
}

}  // namespace sallyport
