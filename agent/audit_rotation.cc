#include "agent/audit_rotation.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/audit_file.h"
#include "common/base/log.h"
#include "common/base/status.h"

namespace sallyport::agent {
namespace {

absl::Status Rename(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot rename ", from, " to ", to));
}

}  // namespace

std::optional<AuditRotation::FileId> AuditRotation::IdOf(const UniqueFd& file) {
  struct stat found;
  if (fstat(file.get(), &found) != 0 || !S_ISREG(found.st_mode)) return std::nullopt;
  return FileId{found.st_dev, found.st_ino};
}

AuditRotation::AuditRotation(Options options, FileId file, Use use)
    : options_(std::move(options)),
      use_(std::move(use)),
      file_(file),
      look_(options_.period, [this] { Look(); }) {}

void AuditRotation::Look() {
  struct stat found;
  const bool there = stat(options_.path.c_str(), &found) == 0;
  const bool ours = there && FileId{found.st_dev, found.st_ino} == file_;
  if (ours) {
    const bool full =
        options_.max_bytes > 0 && static_cast<uint64_t>(found.st_size) >= options_.max_bytes;
    if (!full) return;
    if (const absl::Status moved = MoveAway(); !moved.ok()) {
      Report(moved);
      return;
    }
  }
  Report(Reopen());
}

absl::Status AuditRotation::MoveAway() const {
  const auto numbered = [this](int64_t number) { return absl::StrCat(options_.path, ".", number); };
  for (int64_t number = options_.keep; number > 1; --number)
    RETURN_IF_ERROR(Rename(numbered(number - 1), numbered(number)));
  return Rename(options_.path, numbered(1));
}

absl::Status AuditRotation::Reopen() {
  ASSIGN_OR_RETURN(UniqueFd file, OpenAuditFile("--audit", options_.path));
  const std::optional<FileId> id = IdOf(file);
  if (!id.has_value())
    return absl::FailedPreconditionError(absl::StrCat(options_.path, " is no file any more"));
  file_ = *id;
  use_(std::move(file));
  return absl::OkStatus();
}

void AuditRotation::Report(const absl::Status& status) {
  if (!status.ok() && reported_ != status.message())
    LogError("audit records go on into the file that was open: ", status.message());
  reported_ = std::string(status.message());
}

}  // namespace sallyport::agent
