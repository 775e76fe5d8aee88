#include "agent/checked_file.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {
namespace {

constexpr std::string_view kMagic = "sallyport-policy-1\n";

absl::Status FileError(std::string_view doing, const std::string& path) {
  return absl::ErrnoToStatus(errno, StrCat("cannot ", doing, " ", Quote(path)));
}

// What others can write says nothing.
absl::Status CheckOwner(const UniqueFd& file, const std::string& path) {
  struct stat status = {};
  if (fstat(file.get(), &status) != 0) return FileError("look at", path);
  if (status.st_uid == geteuid() && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0) {
    return absl::OkStatus();
  }
  return absl::PermissionDeniedError(
      StrCat(Quote(path), " can be written by others than the agent's user"));
}

absl::Status WriteAll(const UniqueFd& file, std::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t count = write(file.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FileError("write", path);
    bytes.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

absl::Status WriteDurably(const std::string& path, std::string_view content) {
  UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return FileError("open", path);
  RETURN_IF_ERROR(WriteAll(file, kMagic, path));
  RETURN_IF_ERROR(WriteAll(file, Checksum("", content), path));
  RETURN_IF_ERROR(WriteAll(file, content, path));
  if (fsync(file.get()) != 0) return FileError("write", path);
  return absl::OkStatus();
}

}  // namespace

std::string Checksum(std::string_view before, std::string_view content) {
  std::array<unsigned char, kChecksumBytes> digest;
  EVP_MD_CTX* const context = EVP_MD_CTX_new();
  SALLYPORT_CHECK(context != nullptr && EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1 &&
                  EVP_DigestUpdate(context, before.data(), before.size()) == 1 &&
                  EVP_DigestUpdate(context, content.data(), content.size()) == 1 &&
                  EVP_DigestFinal_ex(context, digest.data(), nullptr) == 1);
  EVP_MD_CTX_free(context);
  return {digest.begin(), digest.end()};
}

absl::Status WriteCheckedFile(const std::string& path, std::string_view content) {
  const std::string beside = path + ".new";
  absl::Status status = WriteDurably(beside, content);
  if (status.ok() && rename(beside.c_str(), path.c_str()) != 0) status = FileError("replace", path);
  if (!status.ok()) {
    unlink(beside.c_str());
    return status;
  }
  const std::string directory = std::filesystem::path(path).parent_path();
  UniqueFd parent(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent.valid() || fsync(parent.get()) != 0) return FileError("write", directory);
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadCheckedFile(const std::string& path) {
  UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!file.valid()) {
    if (errno == ENOENT) return absl::NotFoundError(StrCat("there is no ", Quote(path)));
    return FileError("open", path);
  }
  RETURN_IF_ERROR(CheckOwner(file, path));
  std::string whole;
  for (;;) {
    std::array<char, 64 * 1024> piece;
    const ssize_t count = read(file.get(), piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FileError("read", path);
    if (count == 0) break;
    whole.append(piece.data(), static_cast<size_t>(count));
  }
  const std::string_view view = whole;
  if (!view.starts_with(kMagic) || view.size() < kMagic.size() + kChecksumBytes ||
      view.substr(kMagic.size(), kChecksumBytes) !=
          Checksum("", view.substr(kMagic.size() + kChecksumBytes))) {
    return absl::DataLossError(StrCat(Quote(path), " is damaged"));
  }
  return whole.substr(kMagic.size() + kChecksumBytes);
}

}  // namespace sallyport::agent
