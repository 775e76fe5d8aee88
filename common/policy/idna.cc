#include "common/policy/idna.h"

#include <idn2.h>

#include <algorithm>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport {
namespace {

bool IsAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
}

absl::StatusOr<std::string> ToAsciiLabel(const std::string& label) {
  if (IsAscii(label)) return label;
  if (label.find('*') != std::string::npos) {
    return absl::InvalidArgumentError(
        "has a `*` in a label that is not ASCII; write that label in full, or the `*` as a label "
        "of its own");
  }
  uint8_t* converted = nullptr;
  const int result = idn2_lookup_u8(reinterpret_cast<const uint8_t*>(label.c_str()), &converted,
                                    IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  if (result != IDN2_OK) {
    return absl::InvalidArgumentError(
        StrCat("has a label that is not a legal international name (", idn2_strerror(result),
               "); write the name as it is registered, or its punycode (xn--…)"));
  }
  std::string ascii(reinterpret_cast<const char*>(converted));
  idn2_free(converted);
  // Full-width forms map to ASCII, also to characters with a meaning in patterns.
  if (ascii.find('*') != std::string::npos) {
    return absl::InvalidArgumentError("has a full-width `*`; write the ASCII one");
  }
  return ascii;
}

}  // namespace

absl::StatusOr<std::string> ToAsciiLabels(std::string_view utf8) {
  if (IsAscii(utf8)) return std::string(utf8);
  // The full stops that UTS 46 takes for a dot.
  const std::string dotted =
      absl::StrReplaceAll(ToAbsl(utf8), {{"\u3002", "."}, {"\uff0e", "."}, {"\uff61", "."}});
  std::vector<std::string> labels = absl::StrSplit(dotted, '.');
  for (std::string& label : labels) {
    ASSIGN_OR_RETURN(label, ToAsciiLabel(label));
  }
  return absl::StrJoin(labels, ".");
}

}  // namespace sallyport
