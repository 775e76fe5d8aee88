#include "common/base/check.h"

#include <cstdlib>

#include "common/base/log.h"

namespace sallyport::internal {

void CheckFailed(const char* file, int line, const char* condition) {
  LogError("broken invariant at ", file, ":", line, ": ", condition);
  std::abort();
}

}  // namespace sallyport::internal
