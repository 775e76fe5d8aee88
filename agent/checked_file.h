// A file that is whole or not there: written beside and renamed, with a checksum.

#ifndef SALLYPORT_AGENT_CHECKED_FILE_H_
#define SALLYPORT_AGENT_CHECKED_FILE_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace sallyport::agent {

constexpr size_t kChecksumBytes = 32;

// SHA-256 of `before` and `content`, one after the other.
std::string Checksum(std::string_view before, std::string_view content);

// Durable when this returns OK. After an error the file is as it was.
absl::Status WriteCheckedFile(const std::string& path, std::string_view content);

// NOT_FOUND if there is no file, DATA_LOSS if it is not what was written.
absl::StatusOr<std::string> ReadCheckedFile(const std::string& path);

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_CHECKED_FILE_H_
