#include "agent/attach/oci/place_trust.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "agent/attach/trust.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::agent {
namespace {

// An address that the redirect takes from the container by TCP, too; nobody has it.
constexpr char kResolvConf[] =
    "# Every query is answered by Sallyport, whatever server it is sent to.\n"
    "nameserver 192.0.2.53\n";
constexpr uint64_t kMountAttributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

// A file of the image that holds roots.
struct SystemBundle {
  std::string place;
  UniqueFd file;
  std::string roots;
  dev_t device;
  ino_t inode;
};

absl::Status Failed(std::string_view doing) {
  return absl::ErrnoToStatus(errno, StrCat("cannot ", doing));
}

absl::Status At(std::string_view place, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrCat("the image's ", ToAbsl(place), ": ", status.message()));
}

// Each file once: distributions link from one place to another. A directory is not a bundle.
absl::StatusOr<std::vector<SystemBundle>> FindBundles(const ContainerRoot& root) {
  std::vector<SystemBundle> bundles;
  for (const std::string_view place : kSystemBundlePlaces) {
    absl::StatusOr<UniqueFd> file = root.Find(place);
    if (absl::IsNotFound(file.status())) continue;
    if (!file.ok()) return At(place, file.status());
    struct stat found;
    if (fstat(file->get(), &found) != 0) return At(place, Failed("look at it"));
    const bool known =
        std::any_of(bundles.begin(), bundles.end(), [&found](const SystemBundle& bundle) {
          return bundle.device == found.st_dev && bundle.inode == found.st_ino;
        });
    if (known || S_ISDIR(found.st_mode)) continue;
    absl::StatusOr<std::string> roots = root.Read(*file, kMaxBundleBytes);
    if (!roots.ok()) return At(place, roots.status());
    bundles.push_back(
        {std::string(place), *std::move(file), *std::move(roots), found.st_dev, found.st_ino});
  }
  return bundles;
}

// bundle.crt, bundle-2.crt, …
std::string BundleName(size_t index) {
  if (index == 0) return kBundleFileName;
  return StrCat("bundle-", index + 1, ".crt");
}

absl::Status WriteFile(const UniqueFd& folder, const std::string& name, std::string_view content) {
  const UniqueFd file(
      openat(folder.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  // The mode is not left to the umask.
  if (!file.valid() || fchmod(file.get(), 0644) != 0) return Failed(StrCat("write ", name));
  while (!content.empty()) {
    const ssize_t written = write(file.get(), content.data(), content.size());
    if (written <= 0) return Failed(StrCat("write ", name));
    content.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

// A file system in memory that is mounted nowhere yet.
absl::StatusOr<UniqueFd> MakeMemory() {
  const UniqueFd context(fsopen("tmpfs", FSOPEN_CLOEXEC));
  if (!context.valid() ||
      fsconfig(context.get(), FSCONFIG_SET_STRING, "source", "sallyport", 0) != 0 ||
      fsconfig(context.get(), FSCONFIG_SET_STRING, "mode", "0755", 0) != 0 ||
      fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return Failed("make a file system in memory");
  }
  UniqueFd mount(fsmount(context.get(), FSMOUNT_CLOEXEC, kMountAttributes));
  if (!mount.valid()) return Failed("make a mount in memory");
  return mount;
}

// The file system too, not only the mount: a container that may remount still cannot write.
absl::Status MakeReadOnly(const UniqueFd& mount) {
  mount_attr attributes = {
      .attr_set = MOUNT_ATTR_RDONLY, .attr_clr = 0, .propagation = 0, .userns_fd = 0};
  if (mount_setattr(mount.get(), "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) != 0)
    return Failed("make the mount read-only");
  const UniqueFd context(fspick(mount.get(), "", FSPICK_EMPTY_PATH | FSPICK_CLOEXEC));
  if (!context.valid() || fsconfig(context.get(), FSCONFIG_SET_FLAG, "ro", nullptr, 0) != 0 ||
      fsconfig(context.get(), FSCONFIG_CMD_RECONFIGURE, nullptr, nullptr, 0) != 0) {
    return Failed("make the file system read-only");
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> MakeFiles(std::string_view ca_certificate_pem,
                                   std::vector<SystemBundle>* bundles) {
  ASSIGN_OR_RETURN(UniqueFd mount, MakeMemory());
  RETURN_IF_ERROR(WriteFile(mount, kCaFileName, ca_certificate_pem));
  if (bundles->empty()) {
    RETURN_IF_ERROR(WriteFile(mount, kBundleFileName, MakeTrustBundleOf("", ca_certificate_pem)));
  }
  for (size_t i = 0; i < bundles->size(); ++i) {
    RETURN_IF_ERROR(
        WriteFile(mount, BundleName(i),
                  MakeTrustBundleOf(std::move((*bundles)[i].roots), ca_certificate_pem)));
  }
  RETURN_IF_ERROR(MakeReadOnly(mount));
  return mount;
}

}  // namespace

absl::Status PlaceTrust(const ContainerRoot& root, std::string_view ca_certificate_pem) {
  ASSIGN_OR_RETURN(std::vector<SystemBundle> bundles, FindBundles(root));
  ASSIGN_OR_RETURN(const UniqueFd folder, root.MakeDirectory(kTrustDirectory));
  ASSIGN_OR_RETURN(const UniqueFd files, MakeFiles(ca_certificate_pem, &bundles));
  RETURN_IF_ERROR(At(kTrustDirectory, root.Mount(files, folder)));
  for (size_t i = 0; i < bundles.size(); ++i) {
    // Only of a mount that is in its place can a part be mounted elsewhere.
    const UniqueFd bundle(
        open_tree(files.get(), BundleName(i).c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    if (!bundle.valid()) return At(bundles[i].place, Failed("copy the mount"));
    RETURN_IF_ERROR(At(bundles[i].place, root.Mount(bundle, bundles[i].file)));
  }
  return absl::OkStatus();
}

void PlaceResolvConf(const ContainerRoot& root) {
  root.Create("/etc", "resolv.conf", kResolvConf).IgnoreError();
}

}  // namespace sallyport::agent
