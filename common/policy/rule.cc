#include "common/policy/rule.h"

#include "common/base/strings.h"

namespace sallyport {

std::string Rule::ToString() const {
  std::string text(owner);
  const auto add = [&text](std::string_view word) {
    if (word.empty()) return;
    if (!text.empty()) text.push_back(' ');
    text.append(word);
  };
  add(field);
  if (pattern != nullptr) add(pattern->text());
  add(note);
  if (address.has_value()) add(StrCat("(address ", address->ToString(), ")"));
  return text;
}

}  // namespace sallyport
