// What somebody who mistyped a name meant.

#ifndef SALLYPORT_CLI_NEAREST_H_
#define SALLYPORT_CLI_NEAREST_H_

#include <string>
#include <string_view>
#include <vector>

namespace sallyport::cli {

// The name that takes the fewest insertions, deletions and replacements to get to. REQUIRES: there
// is one.
std::string_view Nearest(std::string_view typed, const std::vector<std::string_view>& names);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_NEAREST_H_
