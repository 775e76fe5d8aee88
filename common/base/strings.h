// Debian's Abseil has a string_view of its own. These carry text between it and the standard's.

#ifndef SALLYPORT_COMMON_BASE_STRINGS_H_
#define SALLYPORT_COMMON_BASE_STRINGS_H_

#include <string>
#include <string_view>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace sallyport {

inline absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view ToStd(absl::string_view text) { return {text.data(), text.size()}; }

namespace internal {
template <typename T>
decltype(auto) StrCatPiece(const T& piece) {
  if constexpr (std::is_same_v<T, std::string_view>) {
    return ToAbsl(piece);
  } else {
    return (piece);
  }
}
}  // namespace internal

// absl::StrCat that takes std::string_view too.
template <typename... Args>
std::string StrCat(const Args&... args) {
  return absl::StrCat(internal::StrCatPiece(args)...);
}

// `text` in double quotes for a message: control and non-ASCII bytes escaped, at most 80 bytes of
// it.
std::string Quote(std::string_view text);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_BASE_STRINGS_H_
