#include "agent/policy_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <utility>

#include "agent/checked_file.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::agent {
namespace {

constexpr size_t kLengthBytes = 4;
constexpr size_t kHeadBytes = kLengthBytes + kChecksumBytes;

absl::Status FileError(std::string_view doing, const std::string& path) {
  return absl::ErrnoToStatus(errno, StrCat("cannot ", doing, " ", Quote(path)));
}

absl::Status WriteAt(const UniqueFd& file, std::string_view bytes, size_t offset,
                     const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t count =
        pwrite(file.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FileError("write", path);
    bytes.remove_prefix(static_cast<size_t>(count));
    offset += static_cast<size_t>(count);
  }
  return absl::OkStatus();
}

std::string ToBytes(uint32_t length) {
  std::string bytes;
  for (size_t i = 0; i < kLengthBytes; ++i) bytes.push_back(static_cast<char>(length >> (8 * i)));
  return bytes;
}

size_t FromBytes(std::string_view bytes) {
  size_t length = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) {
    length |= static_cast<size_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  return length;
}

}  // namespace

absl::StatusOr<PolicyLog> PolicyLog::Open(const std::string& path) { return Open(path, 0); }

absl::StatusOr<PolicyLog> PolicyLog::OpenOrMake(const std::string& path) {
  return Open(path, O_CREAT);
}

absl::StatusOr<PolicyLog> PolicyLog::Open(const std::string& path, int flags) {
  UniqueFd file(open(path.c_str(), flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600));
  struct stat now = {};
  if (!file.valid() || fstat(file.get(), &now) != 0) return FileError("open", path);
  if (static_cast<size_t>(now.st_size) == kBytes) return PolicyLog(std::move(file), path);
  // Only begun, when a disk was full: nothing was ever appended.
  if ((flags & O_CREAT) == 0) return absl::NotFoundError(StrCat(Quote(path), " was never used"));
  // Written, not only allocated: a first write to an allocated block is a change of the file
  // system's own.
  if (ftruncate(file.get(), 0) != 0) return FileError("write", path);
  RETURN_IF_ERROR(WriteAt(file, std::string(kBytes, '\0'), 0, path));
  if (fsync(file.get()) != 0) return FileError("write", path);
  return PolicyLog(std::move(file), path);
}

absl::StatusOr<std::vector<std::string>> PolicyLog::Replay(std::string_view checksum_of_whole) {
  std::string whole(kBytes, '\0');
  for (size_t read = 0; read < kBytes;) {
    const ssize_t count =
        pread(file_.get(), whole.data() + read, kBytes - read, static_cast<off_t>(read));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FileError("read", path_);
    if (count == 0) break;
    read += static_cast<size_t>(count);
  }
  Restart(checksum_of_whole);
  std::vector<std::string> payloads;
  while (end_ + kHeadBytes <= kBytes) {
    const std::string_view record = std::string_view(whole).substr(end_);
    const size_t length = FromBytes(record);
    if (length == 0 || !Fits(length)) break;
    const std::string_view payload = record.substr(kHeadBytes, length);
    const std::string checksum = Checksum(checksum_, payload);
    if (record.substr(kLengthBytes, kChecksumBytes) != checksum) break;
    payloads.emplace_back(payload);
    checksum_ = checksum;
    end_ += kHeadBytes + length;
  }
  return payloads;
}

bool PolicyLog::Fits(size_t payload_bytes) const {
  return payload_bytes <= kBytes && end_ + kHeadBytes + payload_bytes <= kBytes;
}

absl::Status PolicyLog::Append(std::string_view payload) {
  SALLYPORT_CHECK(Fits(payload.size()));
  std::string checksum = Checksum(checksum_, payload);
  const std::string record =
      StrCat(ToBytes(static_cast<uint32_t>(payload.size())), checksum, payload);
  RETURN_IF_ERROR(WriteAt(file_, record, end_, path_));
  if (fdatasync(file_.get()) != 0) return FileError("write", path_);
  end_ += record.size();
  checksum_ = std::move(checksum);
  return absl::OkStatus();
}

void PolicyLog::Restart(std::string_view checksum_of_whole) {
  end_ = 0;
  checksum_ = std::string(checksum_of_whole);
}

}  // namespace sallyport::agent
