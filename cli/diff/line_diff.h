// What differs between two texts, as diff(1) shows it.

#ifndef SALLYPORT_CLI_DIFF_LINE_DIFF_H_
#define SALLYPORT_CLI_DIFF_LINE_DIFF_H_

#include <string>
#include <string_view>

namespace sallyport::cli {

// Hunks of the unified format with three lines of context, without the header that names files.
// Empty: the texts are the same. The shortest script, up to a few thousand differences in the
// middle of the texts; beyond, all of that middle is taken away and put in.
std::string UnifiedDiff(std::string_view before, std::string_view after);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_DIFF_LINE_DIFF_H_
