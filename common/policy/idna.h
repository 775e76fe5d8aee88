// Unicode host names as they go over the wire.

#ifndef SALLYPORT_COMMON_POLICY_IDNA_H_
#define SALLYPORT_COMMON_POLICY_IDNA_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace sallyport {

// Each label that is not ASCII as punycode (IDNA 2008 after the mapping of UTS 46,
// non-transitional); ASCII labels as they are. A `*` may stand in ASCII labels only: others are
// matched in punycode, where it would mean nothing. INVALID_ARGUMENT with a sentence for what has
// no such form.
absl::StatusOr<std::string> ToAsciiLabels(std::string_view utf8);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_IDNA_H_
