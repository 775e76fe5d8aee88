// Validation of built-in handlers.

#ifndef SALLYPORT_COMMON_BUILTIN_NORMALISE_BUILTIN_H_
#define SALLYPORT_COMMON_BUILTIN_NORMALISE_BUILTIN_H_

#include <string_view>

#include "common/policy/problems.h"
#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport {

// Names of headers become lower case, `authority` canonical, what is there twice goes. Paths of
// problems begin with `path`. A value that has a problem is of no use afterwards.
void NormaliseBuiltin(std::string_view path, v1::Builtin* builtin, Problems* problems);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_BUILTIN_NORMALISE_BUILTIN_H_
