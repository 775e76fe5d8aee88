#include "common/base/strings.h"

#include "absl/strings/escaping.h"

namespace sallyport {

std::string Quote(std::string_view text) {
  constexpr size_t kMax = 80;
  return StrCat("\"", absl::CHexEscape(ToAbsl(text.substr(0, kMax))),
                text.size() > kMax ? "…\"" : "\"");
}

}  // namespace sallyport
