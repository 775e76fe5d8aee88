// Under which names anybody may register one of their own.

#ifndef SALLYPORT_CLI_SUGGEST_PUBLIC_SUFFIX_H_
#define SALLYPORT_CLI_SUGGEST_PUBLIC_SUFFIX_H_

#include <string_view>

namespace sallyport::cli {

// Whether `*.name` may match names of strangers: a single label, such as `com`; a short label below
// a country's, such as `co.uk`; or one of the well-known services below which each customer has a
// name. A guess, not the Public Suffix List: it errs to yes.
bool MayBePublicSuffix(std::string_view name);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_SUGGEST_PUBLIC_SUFFIX_H_
