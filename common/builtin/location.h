// Where a redirect leads: text with parts of the request in it.

#ifndef SALLYPORT_COMMON_BUILTIN_LOCATION_H_
#define SALLYPORT_COMMON_BUILTIN_LOCATION_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/builtin/builtin_request.h"

namespace sallyport {

// INVALID_ARGUMENT with half a sentence.
absl::Status CheckLocation(std::string_view location);

// With {scheme}, {host}, {authority}, {path} and {query} filled in. REQUIRES: it is checked.
std::string FillLocation(std::string_view location, const BuiltinRequest& request);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_BUILTIN_LOCATION_H_
