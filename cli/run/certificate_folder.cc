#include "cli/run/certificate_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "common/base/strings.h"

namespace sallyport::cli {
namespace {

std::string ParentOf(const std::string& path) {
  return std::filesystem::path(path).parent_path().string();
}

absl::Status Failed(const std::string& path, int error) {
  return absl::ErrnoToStatus(error, StrCat("cannot make the folder ", path));
}

}  // namespace

CertificateFolder::CertificateFolder(std::string path, bool made_parent, UniqueFd folder)
    : path_(std::move(path)), made_parent_(made_parent), folder_(std::move(folder)) {}

absl::StatusOr<CertificateFolder> CertificateFolder::Make(const std::string& path) {
  bool made_parent = false;
  while (true) {
    std::error_code error;
    made_parent |= std::filesystem::create_directories(ParentOf(path), error);
    if (error) return Failed(path, error.value());
    // In the way of whoever removes them both, one may be gone again by the next step.
    if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
      if (errno == ENOENT) continue;
      return Failed(path, errno);
    }
    UniqueFd folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder.valid()) {
      if (errno == ENOENT) continue;
      return Failed(path, errno);
    }
    if (flock(folder.get(), LOCK_SH) != 0) return Failed(path, errno);
    struct stat found = {};
    if (fstat(folder.get(), &found) != 0) return Failed(path, errno);
    if (found.st_nlink > 0) return CertificateFolder(path, made_parent, std::move(folder));
  }
}

CertificateFolder::~CertificateFolder() {
  if (!folder_.valid() || flock(folder_.get(), LOCK_EX | LOCK_NB) != 0) return;
  // What is not empty stays.
  if (rmdir(path_.c_str()) == 0 && made_parent_) rmdir(ParentOf(path_).c_str());
}

}  // namespace sallyport::cli
