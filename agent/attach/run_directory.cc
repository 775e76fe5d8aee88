#include "agent/attach/run_directory.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <openssl/crypto.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/base/unique_fd.h"

namespace sallyport::agent {
namespace {

absl::Status PathError(std::string_view doing, const std::string& path) {
  return absl::ErrnoToStatus(errno, StrCat(doing, " ", Quote(path)));
}

absl::Status MakeDirectory(const std::string& path, mode_t mode) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) {
    return absl::ErrnoToStatus(error.value(), StrCat("cannot make the directory ", Quote(path)));
  }
  if (chmod(path.c_str(), mode) != 0) return PathError("cannot set the mode of", path);
  return absl::OkStatus();
}

absl::StatusOr<bool> IsInMemory(const std::string& path) {
  struct statfs filesystem;
  if (statfs(path.c_str(), &filesystem) != 0) return PathError("cannot look at", path);
  return filesystem.f_type == TMPFS_MAGIC || filesystem.f_type == RAMFS_MAGIC;
}

void RemoveContents(const std::string& path, const std::set<std::string>& but) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(path, ignored)) {
    if (!but.contains(entry.path().filename())) std::filesystem::remove_all(entry.path(), ignored);
  }
}

// By an agent before this one, which did not come to unmount it.
bool IsMounted(const std::string& path) {
  struct stat here, above;
  return stat(path.c_str(), &here) == 0 && stat((path + "/..").c_str(), &above) == 0 &&
         here.st_dev != above.st_dev;
}

absl::Status WriteFile(const std::string& path, mode_t mode, std::string_view content) {
  UniqueFd file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  // The mode is not left to the umask.
  if (!file.valid() || fchmod(file.get(), mode) != 0 ||
      write(file.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size())) {
    return PathError("cannot write", path);
  }
  return absl::OkStatus();
}

std::string KeyToPem(std::string_view der) {
  std::string base64 = absl::Base64Escape(ToAbsl(der));
  std::string pem = "-----BEGIN EC PRIVATE KEY-----\n";
  // In one piece, so that no copy of a part of it is left behind by growing.
  pem.reserve(pem.size() + base64.size() * 2 + 64);
  for (size_t at = 0; at < base64.size(); at += 64) {
    pem.append(base64, at, 64);
    pem += '\n';
  }
  pem += "-----END EC PRIVATE KEY-----\n";
  OPENSSL_cleanse(base64.data(), base64.size());
  return pem;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RunDirectory>> RunDirectory::Open(
    const std::string& path, const std::set<std::string>& kept) {
  RETURN_IF_ERROR(MakeDirectory(path, 0755));
  std::string containers = absl::StrCat(path, "/containers");
  RETURN_IF_ERROR(MakeDirectory(containers, 0711));
  ASSIGN_OR_RETURN(const bool in_memory, IsInMemory(containers));
  const bool mounted = !in_memory || IsMounted(containers);
  if (!in_memory) {
    if (mount("sallyport", containers.c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
              "mode=0711,size=64m") != 0) {
      return absl::FailedPreconditionError(
          StrCat("--run-dir ", Quote(path),
                 " is on a disk, where keys must not be, and no tmpfs can be mounted in it: ",
                 std::generic_category().message(errno), "; name a directory on a tmpfs"));
    }
  }
  RemoveContents(containers, kept);
  // For handlers' sockets. Its rights are the operator's to change.
  std::error_code ignored;
  std::filesystem::create_directory(absl::StrCat(path, "/handlers"), ignored);
  return std::unique_ptr<RunDirectory>(new RunDirectory(std::move(containers), mounted));
}

RunDirectory::~RunDirectory() {
  RemoveContents(containers_, {});
  if (mounted_) umount2(containers_.c_str(), MNT_DETACH);
  rmdir(containers_.c_str());
  // Stays as long as a handler's socket is in it.
  rmdir((std::filesystem::path(containers_).parent_path() / "handlers").c_str());
}

absl::Status RunDirectory::Store(std::string_view container_id,
                                 const CertificateAuthority& authority) {
  Destroy(container_id);
  const std::string directory = DirectoryOf(container_id);
  RETURN_IF_ERROR(MakeDirectory(directory, 0755));
  std::string key = KeyToPem(authority.private_key_der);
  absl::Status status = WriteFile(directory + "/ca.key", 0600, key);
  OPENSSL_cleanse(key.data(), key.size());
  if (status.ok()) status = WriteFile(directory + "/ca.crt", 0644, authority.certificate_pem);
  if (!status.ok()) Destroy(container_id);
  return status;
}

void RunDirectory::Destroy(std::string_view container_id) {
  std::error_code ignored;
  std::filesystem::remove_all(DirectoryOf(container_id), ignored);
}

std::string RunDirectory::DirectoryOf(std::string_view container_id) const {
  return StrCat(containers_, "/", container_id);
}

}  // namespace sallyport::agent
