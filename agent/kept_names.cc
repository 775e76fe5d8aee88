#include "agent/kept_names.h"

#include <string_view>

#include "absl/strings/str_cat.h"

namespace sallyport::agent {
namespace {

constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuvwxyz";
constexpr size_t kLength = 4;

// Numbers that differ in their last digits have names that do.
std::string NameOf(uint32_t number) {
  std::string name(kLength, kDigits.front());
  for (size_t i = kLength; i-- > 0; number /= kDigits.size())
    name[i] = kDigits[number % kDigits.size()];
  return name;
}

}  // namespace

absl::StatusOr<std::string> KeptNames::Take() {
  if (taken_.size() >= kMaxKeptContainers) {
    return absl::ResourceExhaustedError(
        absl::StrCat("this host has ", taken_.size(),
                     " containers attached, and an agent cannot leave more to the next one; detach "
                     "some, or spread them over more hosts"));
  }
  for (;;) {
    std::string name = NameOf(next_++);
    if (taken_.insert(name).second) return name;
  }
}

}  // namespace sallyport::agent
