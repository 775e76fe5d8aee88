// A request's path as it is compared with what is allowed.

#ifndef SALLYPORT_COMMON_BUILTIN_SAFE_PATH_H_
#define SALLYPORT_COMMON_BUILTIN_SAFE_PATH_H_

#include <string>
#include <string_view>

namespace sallyport {

// The path of a request target (what is before `?`) with its percent-encoding undone, into
// `decoded`. Returns what is wrong, or nothing: a path is refused if an origin could take it for
// another one than we do. These are: one that does not begin with "/"; segments "." and "..", also
// with a parameter (`..;x`); an empty segment that is not the last one; `\`; an encoded `/`, `\`,
// `.` or `%`, and an encoded control byte; overlong UTF-8; `%` without two hexadecimal digits; `#`.
// `decoded` is then of no use.
std::string_view DecodePath(std::string_view target, std::string* decoded);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_BUILTIN_SAFE_PATH_H_
