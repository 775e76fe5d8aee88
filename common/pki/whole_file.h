// A file that others see whole, the former or the new one, and never in between.

#ifndef SALLYPORT_COMMON_PKI_WHOLE_FILE_H_
#define SALLYPORT_COMMON_PKI_WHOLE_FILE_H_

#include <sys/types.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sallyport::pki {

// Written beside and renamed; on the disk when this returns OK. Never readable by more than `mode`
// allows, at no moment.
absl::Status WriteWholeFile(const std::string& path, std::string_view content, mode_t mode);

// NOT_FOUND if there is none.
absl::StatusOr<std::string> ReadWholeFile(const std::string& path);

}  // namespace sallyport::pki

#endif  // SALLYPORT_COMMON_PKI_WHOLE_FILE_H_
